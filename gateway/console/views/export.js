/** The whole profile as one file, written to disk as it comes. */

import { api } from "../api.js"
import { copyOf, h, replace } from "../dom.js"
import { bytes } from "../words.js"

const NAME = "backup.json"

export function exportPart({ announce }) {
	const { element, withKeys, secret, passphrase, button, outcome } = copyOf("export")
	let leaving = null

	async function save(event) {
		event.preventDefault()
		if (leaving) return leaving.abort()
		leaving = new AbortController()
		const text = h("p", {}, "Gathering…")
		become("Cancel", text, h("progress", { "aria-label": "Export" }))
		try {
			const tell = (size) => (text.textContent = `${bytes(size)} written`)
			const link = await written(withKeys.checked && passphrase.value, leaving.signal, tell)
			passphrase.value = ""
			become("Export backup", link)
			link.click()
		} catch (problem) {
			const why = problem.status ? problem.message : "It broke off: what came is not a whole backup, and was thrown away."
			become("Export backup", leaving.signal.aborted ? "Cancelled." : why)
		}
		leaving = null
	}

	function become(label, ...told) {
		button.textContent = label
		element.noValidate = label === "Cancel"
		replace(outcome, told)
		announce(outcome.textContent, { always: true })
	}

	withKeys.onchange = () => {
		secret.hidden = passphrase.disabled = !withKeys.checked
	}
	button.addEventListener("click", (event) => event.detail > 1 && event.preventDefault()) // the second of two would cancel
	element.onsubmit = save
	return element
}

/** A link that saves the file. */
async function written(passphrase, signal, tell) {
	const sealing = { method: "POST", body: JSON.stringify({ passphrase }), headers: { "Content-Type": "application/json" } }
	const { body, headers } = await api.fetch("/api/settings/backup", { signal, ...(passphrase && sealing) })
	let size = 0
	const transform = (piece, out) => {
		size += piece.length
		tell(size)
		out.enqueue(piece)
	}
	const file = await kept(body.pipeThrough(new TransformStream({ transform })))
	const [download] = /[\w-]+\.json/.exec(headers.get("Content-Disposition"))
	return h("a", { href: URL.createObjectURL(file), download }, `Save ${download}, whole, ${bytes(size)}`)
}

/** In the origin private file system, in place of the last one; in memory where there is none. */
async function kept(stream) {
	const handle = await newFile().catch(() => null)
	if (!handle?.createWritable) return new Response(stream).blob()
	await stream.pipeTo(await handle.createWritable())
	return handle.getFile()
}

async function newFile() {
	await forgetBackup()
	return (await navigator.storage.getDirectory()).getFileHandle(NAME, { create: true })
}

/** The copy of the last one, where there is one. */
export async function forgetBackup() {
	await navigator.storage?.getDirectory().then((root) => root.removeEntry(NAME)).catch(() => {})
}
