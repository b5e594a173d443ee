/** How somebody on the browser-only build gets an export out of it. */
import { announce, template } from "../dom.js"

export function view() {
	const element = template("old-console")
	for (const button of element.querySelectorAll("button")) button.onclick = () => copy(button.previousElementSibling)
	return { element, title: element.querySelector("h1").textContent }
}

async function copy(code) {
	try {
		await navigator.clipboard.writeText(code.textContent)
		announce("Copied.")
		code.nextElementSibling.textContent = "Copied"
	} catch {
		getSelection().selectAllChildren(code)
	}
}
