/** Taking everything out, and putting it in again. */

import { h } from "../dom.js"
import { earlierPart } from "./earlier.js"
import { exportPart } from "./export.js"
import { importPart } from "./import.js"

let kept = null // what is under way goes on while somebody looks at something else

for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault()) // a file opens nowhere

export function dataSection(app) {
	if (kept?.session !== app.session.id) kept = { session: app.session.id, parts: [exportPart(app), importPart(app)] }
	const { element, dispose } = earlierPart(app)
	return { element: h("div", { class: "data" }, kept.parts, element), dispose }
}
