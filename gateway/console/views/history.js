/** Every version of the settings: what is different now, and the way back. */
import { newKey } from "../api.js"
import { h, replace, shortened, template, words } from "../dom.js"
import { pathOf } from "../merging.js"
import { named, nameOf, shownValue } from "../words.js"
import { page, press, reading, row } from "./page.js"

const HISTORY = "/api/settings/history"
const NOTES = [
	[/^settings_change$/, "Settings changed"],
	[/^initial_profile$/, "First settings"],
	[/^backup_restore$/, "From an import"],
	[/^restore:(\d+)$/, "Version $1 again"],
	[/^undo:\S+$/, "Undone import"],
	[/^[a-z_]+$/, named],
]

export function view(app) {
	const element = template("history")
	const [list, older] = element.querySelectorAll(".rows, button")
	const rows = new Map()

	async function show(before = "") {
		if (!before && rows.has(app.settings.saved?.version)) return
		const { history, next_before: next } = await app.api.get(`${HISTORY}?limit=25${before && `&before=${before}`}`)
		const fresh = history.filter(({ id }) => !rows.has(id))
		if (fresh.length === history.length) {
			Object.assign(older, { hidden: !next, value: next })
			if (!before) replace(list, rows.clear()) // more is new than a page holds
		}
		for (const entry of fresh) rows.set(entry.id, rowOf(app, entry))
		list[before ? "append" : "prepend"](...fresh.map(({ id }) => rows.get(id).element))
		for (const each of rows.values()) each.show(Math.max(...rows.keys()))
		if (before) rows.get(fresh[0]?.id)?.element.focus() // none is fresh where it was asked for twice
	}

	press(app, older, () => show(older.value))
	return page(element, reading(() => show(), app.settings, "change"))
}

function rowOf(app, { id, change_note: note, created_at: at }) {
	const text = NOTES.reduce((told, [sign, name]) => told.replace(sign, name), note)
	const element = row("version", `Version ${id}`, shortened(text, 200), at)
	const [tag, toggle, restoring] = element.querySelectorAll(".tag, button")
	const changes = element.lastElementChild
	const compare = async () => replace(changes, differences((await app.api.get(`${HISTORY}/${id}/diff`)).changes))
	restoring.textContent = `Restore version ${id}`
	press(app, toggle, async () => {
		if (changes.hidden) await compare()
		changes.hidden = !changes.hidden
		toggle.ariaExpanded = !changes.hidden
	})
	press(app, restoring, async () => {
		await app.settings.restore(id, newKey())
		app.announce(`Version ${id} is in place again`)
	})
	const show = (current) => {
		restoring.hidden = id === current
		tag.hidden = id !== current
		if (!changes.hidden) compare().catch(() => changes.replaceChildren())
	}
	return { element, show }
}

function differences(changes) {
	const rows = changes.map(({ path, before, after }) => {
		const keys = pathOf(path)
		const shown = (value) => words(shownValue(keys, value), 200)
		return [words(nameOf(keys), 200, "dt"), h("dd", {}, shown(before), " → ", shown(after))]
	})
	return h("dl", {}, h("dt", {}, rows.length ? "Then → now" : "Nothing is different now."), h("dd"), rows)
}
