/** Questions that have to be answered first. */

import { h } from "./dom.js"

/** Resolves with what `contents` gives to `close`, null on Escape. */
export function dialog(title, contents, { wide = false } = {}) {
	return new Promise((resolve) => {
		let answer = null
		const close = (value) => {
			answer = value
			element.close()
		}
		const heading = h("h2", { id: "dialog-title" }, title)
		const element = h("dialog", { class: wide ? "wide" : "", "aria-labelledby": "dialog-title" }, heading, contents(close))
		const leave = () => element.close()
		element.addEventListener("close", () => {
			removeEventListener("hashchange", leave)
			element.remove()
			resolve(answer)
		})
		addEventListener("hashchange", leave)
		document.body.append(element)
		element.showModal()
	})
}

export async function confirm({ title, text, yes, no }) {
	return (await dialog(title, (close) => [
		h("p", {}, text),
		h("div", { class: "buttons" },
			h("button", { autofocus: true, onclick: () => close(false) }, no),
			h("button", { class: "danger", onclick: () => close(true) }, yes),
		),
	])) === true
}
