/** Every setting as a control that saves itself, beside the provider keys and the backups. */
import { h } from "../dom.js"
import { nameOf, SETTINGS } from "../words.js"
import { apiKeys } from "./api-keys.js"
import { dataSection } from "./data.js"
import { reading } from "./telling.js"

const SECTIONS = ["api", "preferences", "behavior", "theme", "data", "developer"]
const NAMES = { api: "API Configuration", data: "Data Sync, Export & Restore" }

export function view(app, place) {
  const { settings } = app
  const leaving = new AbortController()
  const parts = { api: apiKeys(app), data: dataSection(app) }
  const controls = SETTINGS.map((setting) => controlOf(settings, setting))
  const groups = []
  const group = (name, legend) => {
    const rows = controls.filter(({ path }) => path[0] === name).map(({ row }) => row)
    return groups[groups.push(h("fieldset", { class: "panel" }, legend && h("legend", { class: "slate" }, legend), rows)) - 1]
  }
  const section = (name) => {
    const heading = h("h2", { id: `/settings/${name}`, tabindex: -1 }, NAMES[name] ?? nameOf([name]))
    const content = parts[name]?.element ?? [group(name), name === "preferences" && group("accessibility", "Accessibility")]
    return h("section", { "aria-labelledby": heading.id }, heading, content)
  }
  const heading = h("h1", { tabindex: -1 }, "Settings Console")
  const save = h("button", { class: "primary save", onclick: () => settings.save() }, "Save now")
  const sections = SECTIONS.map(section)
  const show = () => {
    for (const { path, otherwise, show } of controls) show(settings.value(path, otherwise))
    for (const each of groups) each.disabled = !settings.saved
    const isDone = settings.value(["behavior", "autoSave"], true) || settings.state !== "unsaved"
    if (isDone && save === document.activeElement) heading.focus({ preventScroll: true })
    save.hidden = isDone
  }
  const moveTo = ({ rest }) => {
    const target = sections[SECTIONS.indexOf(rest)]?.firstChild ?? heading
    target.scrollIntoView()
    target.focus({ preventScroll: true })
    return true
  }
  settings.addEventListener("change", show, leaving)
  show()
  const { failure, read } = reading(() => settings.saved || settings.begin())
  app.live.addEventListener("change", () => failure.firstChild && void read(), leaving)
  const links = sections.map(({ firstChild: { id, textContent } }) => h("a", { href: `#${id}` }, textContent))
  return {
    title: "Settings Console",
    element: h("div", { class: "settings" },
      h("div", { class: "head" }, heading),
      h("nav", { class: "local", "aria-label": "Sections" }, links),
      h("div", {}, failure, sections, save)),
    shown: () => place.rest && moveTo(place),
    moveTo,
    dispose: () => [leaving.abort(), parts.api.dispose(), parts.data.dispose()],
  }
}

function controlOf(settings, setting) {
  const { path, kind, label, hint } = setting
  const id = path.join("-")
  const about = hint && h("p", { class: "hint", id: `${id}-hint` }, hint)
  const known = { id, "aria-labelledby": `${id}-name`, "aria-describedby": about?.id }
  const [control, show] = KINDS[kind](setting, known, (value) => settings.edit(path, value))
  return { ...setting, show, row: h("div", { class: "setting" }, h("div", {}, h("label", { id: `${id}-name`, for: id }, label), about), control) }
}

const KINDS = {
  switch(_, known, edit) {
    const input = h("input", { ...known, type: "checkbox", role: "switch", oninput: () => edit(input.checked) })
    return [input, (value) => (input.checked = value)]
  },
  range({ least: min, most: max, step, shown }, known, edit) {
    const output = h("output", { "aria-live": "off" }) // the slider says it
    const input = h("input", { ...known, type: "range", min, max, step, oninput: () => edit(+input.value) })
    const show = (value) => {
      if (+input.value !== value) input.value = value // not from under the hand that drags it
      input.setAttribute("aria-valuetext", (output.value = shown(value)))
    }
    return [h("div", { class: "range" }, input, output), show]
  },
  choice({ path, options, names }, known, edit) {
    const radios = options.map((value) => h("input", { type: "radio", name: known.id, value, oninput: () => edit(value) }))
    const swatch = (value) => path[1] === "accent" && h("i", { class: "lamp", "data-accent": value })
    const labels = radios.map((radio) => h("label", {}, radio, swatch(radio.value), names[radio.value] ?? radio.value))
    const show = (value) => radios.forEach((radio) => (radio.checked = radio.value === value))
    return [h("div", { ...known, class: "choices", role: "radiogroup" }, labels), show]
  },
}
