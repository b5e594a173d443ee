/** Two devices have changed the same setting: both values side by side, and the person chooses. */

import { dialog } from "./dialogs.js"
import { h } from "./dom.js"
import { pathOf } from "./merging.js"
import { nameOf, shownValue } from "./words.js"

let isOpen = false
let postponed = null

/** Asks once a conflict; `again`: also where it was put off. */
export async function showConflict(app, { again = false } = {}) {
	const { conflict } = app.settings
	if (isOpen || !conflict || (postponed === conflict && !again)) return
	isOpen = true
	const mine = await dialog("Changed on another device", (close) => question(conflict, close), { wide: true })
	isOpen = false
	if (mine) app.settings.resolve(mine)
	else postponed = conflict
}

function question(conflict, close) {
	const rows = conflict.conflicts.map((each, index) => choice(each, `conflict-${index}`))
	const keep = () => close(new Set(rows.filter((row) => row.isMine()).map((row) => row.path)))
	return [
		h("p", {}, "It was changed elsewhere as well. What is there now stays in the settings history, whatever you choose."),
		rows.map((row) => row.element),
		h("div", { class: "buttons" },
			h("button", { onclick: () => close(null) }, "Decide later"),
			h("button", { class: "primary", autofocus: true, onclick: keep }, "Keep chosen"),
		),
	]
}

function choice({ path, base, theirs, yours }, name) {
	const keys = pathOf(path)
	const mine = h("input", { type: "radio", name, checked: true })
	const option = (input, label, value) =>
		h("label", { class: "side" }, input, h("b", {}, label), h("bdi", {}, shownValue(keys, value)))
	const element = h("fieldset", { class: "sides" },
		h("legend", {}, nameOf(keys)),
		option(mine, "Yours", yours),
		option(h("input", { type: "radio", name }), "Theirs", theirs),
		base !== undefined && h("p", { class: "quiet" }, "Before: ", h("bdi", {}, shownValue(keys, base))),
	)
	return { element, path, isMine: () => mine.checked }
}
