/** The imports that were, and taking the latest of them back. */

import { api } from "../api.js"
import { confirm } from "../dialogs.js"
import { h, replace } from "../dom.js"
import { moment, STAGES } from "../words.js"
import { reading } from "./page.js"
import { inWords } from "./plans.js"

export const PATH = "/api/settings/restore"

export function earlierPart(app) {
	const list = h("div", { tabindex: -1 })
	const read = async () => {
		const { restores } = await api.get(`${PATH}s`)
		const rows = restores.map((entry) => row(app, entry))
		swap(list, rows.length ? bounded(rows, 5, { "aria-label": "Earlier imports" }) : "None yet.")
	}
	const { failure, dispose } = reading(read, app.live, "restore")
	return { element: h("section", { class: "panel" }, h("h3", {}, "Earlier imports"), failure, list), dispose }
}

function row(app, entry) {
	const { started_at: at, mode, stage, outcome } = entry
	const when = moment(at)
	const text = stage === "done" ? inWords(outcome).join(" ") : outcome?.problem?.detail
	const what = text && h("p", { class: "quiet" }, text)
	return h("li", {}, `${when} · ${mode} · ${STAGES[stage]}`, what, undoing(app, entry, `Undo the import of ${when}`))
}

/** The way back or, where there is none, why. */
export function undoing(app, entry, name) {
	const { open, until, outcome } = entry.undo
	if (outcome) return `Undone. ${inWords(outcome).join(" ")}`
	const why = Date.parse(until) > Date.now() ? "A later import has closed its undo." : "Its undo has ended."
	if (!open) return until && h("p", { class: "hint" }, why)
	const place = h("p", { tabindex: -1 })
	const button = h("button", { class: "small", "aria-label": name, onclick: () => undo(app, entry, place) }, "Undo")
	return replace(place, button, ` until ${moment(until)}`)
}

async function undo(app, { restore_id: id }, place) {
	const text = "What it replaced comes back; what was written since stays."
	if (!(await confirm({ title: "Undo this import?", text, yes: "Undo", no: "Keep" }))) return
	try {
		const { signal } = new AbortController() // it may take long
		const undone = await api.ask("POST", `${PATH}/${id}/undo`, { key: "undo", signal })
		swap(place, `Undone. ${inWords(undone).join(" ")}`)
		refresh(app)
	} catch (problem) {
		app.notices.show(problem.message, { tone: "error" })
	}
}

/** The live events tell it as well. */
export function refresh(app) {
	app.settings.load().catch(() => {})
	void app.runs.reload()
}

/** Puts these in its place, with the keyboard where it was in it. */
export function swap(place, ...children) {
	const hadFocus = place.contains(document.activeElement)
	replace(place, children)
	if (hadFocus) place.focus()
}

export function bounded(items, most, properties) {
	if (!items.length) return null
	const more = items.splice(most)
	return [h("ul", properties, items), more.length > 0 && h("details", {}, h("summary", {}, `${more.length} more`), h("ul", {}, more))]
}
