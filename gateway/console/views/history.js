/** Every version of the settings: what is different now, and the way back. */
import { newKey } from "../api.js"
import { h, replace, words } from "../dom.js"
import { pathOf } from "../merging.js"
import { nameOf, shownValue } from "../words.js"
import { attempt, reading, when } from "./telling.js"

const HISTORY = "/api/settings/history"
const NOTES = new Map([
  ["settings_change", "Settings changed"],
  ["initial_profile", "First settings"],
  ["backup_restore", "From an import"],
  ["from guest", "From the guest profile"],
  ["kept at sign-in", "Kept at sign-in"],
])

export function view(app) {
  const leaving = new AbortController()
  const list = h("ol", { class: "rows", "aria-label": "Versions" })
  const rows = new Map()
  const show = async (before = "") => {
    const { history, next_before: next } = (await app.api.get(`${HISTORY}?limit=25${before && `&before=${before}`}`)).value
    const isApart = !history.some(({ id }) => rows.has(id)) // the first page, an older one, or all of it is new
    if (isApart) Object.assign(older, { hidden: !next, value: next })
    if (isApart && !before) replace(list, rows.clear())
    const fresh = history.filter(({ id }) => !rows.has(id)).map((entry) => rowOf(app, entry))
    for (const row of fresh) rows.set(row.id, row)
    list[before ? "append" : "prepend"](...fresh.map(({ element }) => element))
    const current = Math.max(...rows.keys())
    for (const row of rows.values()) row.show(current)
    if (before) fresh[0]?.element.focus()
  }
  const older = h("button", { hidden: true, onclick: () => attempt(app, () => show(older.value)) }, "Older versions")
  const { failure, read } = reading(() => show())
  app.settings.addEventListener("change", () => !rows.has(app.settings.saved?.version ?? 1) && void read(), leaving)
  const head = h("div", { class: "head" }, h("h1", {}, "Settings history"))
  return { title: "Settings history", element: h("div", { class: "page" }, head, failure, list, older), dispose: () => leaving.abort() }
}

function rowOf(app, { id, change_note: note, created_at: at }) {
  const changes = h("div", { hidden: true })
  const tag = h("span", { class: "tag good" }, "Current")
  const compare = () => attempt(app, async () => {
    replace(changes, differences((await app.api.get(`${HISTORY}/${id}/diff`)).value.changes))
    open(true)
  })
  const open = (isOpen) => {
    changes.hidden = !isOpen
    toggle.setAttribute("aria-expanded", isOpen)
  }
  const turn = () => (changes.hidden ? compare() : open(false))
  const toggle = h("button", { "aria-expanded": false, "aria-describedby": `v${id}`, onclick: turn }, "Show changes")
  const restore = () => attempt(app, async () => {
    await app.settings.restore(id, newKey())
    app.announce(`Version ${id} is in place again`)
  })
  const restoring = h("button", { onclick: restore }, `Restore version ${id}`)
  const about = h("div", { class: "grow" }, h("h2", { id: `v${id}` }, `Version ${id} `, tag), h("p", { class: "hint" }, noteIn(note), " · ", when(at)))
  const show = (current) => {
    tag.hidden = id !== current
    restoring.hidden = id === current
    if (!changes.hidden) void compare()
  }
  return { id, element: h("li", { tabindex: -1 }, about, toggle, restoring, changes), show }
}

function noteIn(note) {
  const [, verb, id] = /^(restore|undo):(.+)/.exec(note) ?? []
  if (verb) return verb === "undo" ? "Undone import" : words(`Version ${id} again`, 40)
  return NOTES.get(note) ?? words(note || "No note", 200)
}

function differences(changes) {
  const shown = (keys, value) => words(shownValue(keys, value), 300)
  const rows = changes.map(({ path, before, after }) => {
    const keys = pathOf(path)
    return [h("dt", {}, words(nameOf(keys), 120)), h("dd", {}, shown(keys, before), " → ", shown(keys, after))]
  })
  return rows.length ? h("dl", {}, h("dt", {}, "Setting"), h("dd", {}, "Then → now"), rows) : h("p", { class: "hint" }, "Nothing is different now.")
}
