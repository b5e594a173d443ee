/** Every setting as a control that saves itself, beside the provider keys and the backups. */
import { h, replace } from "../dom.js"
import { named, nameOf, SETTINGS } from "../words.js"
import { apiKeys } from "./api-keys.js"
import { dataSection } from "./data.js"
import { reading } from "./page.js"

const SECTIONS = ["api", "preferences", "behavior", "theme", "data", "developer"]
const NAMES = { api: "API Configuration", data: "Data Sync, Export & Restore" }

export function view(app, place) {
  const { settings } = app
  const parts = { api: apiKeys(app), data: dataSection(app) }
  const controls = SETTINGS.map((setting) => controlOf(settings, setting))
  const rowsOf = (name) => controls.filter(({ path }) => path[0] === name).map(({ row }) => row)
  const group = (name) => h("div", { class: "panel", role: "group", "aria-label": nameOf([name]) }, rowsOf(name))
  const sections = SECTIONS.map((name) => {
    const heading = h("h2", { id: `/settings/${name}`, tabindex: -1 }, NAMES[name] ?? nameOf([name]))
    const accessibility = name === "preferences" && [h("h3", {}, "Accessibility"), group("accessibility")]
    return h("section", { "aria-labelledby": heading.id }, heading, parts[name]?.element ?? group(name), accessibility)
  })
  const links = sections.map(({ firstChild: { id, textContent } }) => h("a", { href: `#${id}` }, textContent))
  const heading = h("h1", { tabindex: -1 }, "Settings Console")
  const save = h("button", { class: "primary save", onclick: () => settings.save() }, "Save now")
  const show = () => {
    for (const { path, otherwise, row, show } of controls) show(settings.value(path, otherwise), (row.disabled = !settings.saved))
    const isDone = settings.state !== "unsaved" || settings.value(["behavior", "autoSave"], true)
    if (isDone && save === document.activeElement) heading.focus({ preventScroll: true })
    save.hidden = isDone
    return settings.saved
  }
  const state = reading(async () => show() ?? settings.begin(), settings, "change")
  const moveTo = ({ rest }) => {
    const target = sections[SECTIONS.indexOf(rest)]?.firstChild ?? heading
    target.scrollIntoView()
    target.focus({ preventScroll: true })
    return true
  }
  return {
    title: "Settings Console",
    element: h("div", { class: "settings" },
      h("div", { class: "head" }, heading), h("nav", { class: "local", "aria-label": "Sections" }, links), h("div", {}, state.failure, sections, save)),
    shown: () => place.rest && moveTo(place),
    moveTo,
    dispose: () => [state, parts.api, parts.data].forEach((each) => each.dispose()),
  }
}

function controlOf(settings, { path, kind, label, hint, otherwise, ...options }) {
  const id = path.join("-")
  const about = hint && h("p", { class: "hint", id: `${id}-hint` }, hint)
  const known = { id, "aria-labelledby": `${id}-name`, "aria-describedby": about?.id }
  const [control, show] = KINDS[kind](known, (value) => settings.edit(path, value), options)
  const row = h("fieldset", { role: "none" }, h("div", {}, h("label", { id: `${id}-name`, for: id }, label), about), control)
  return { path, otherwise, show, row }
}

const KINDS = {
  switch(known, edit) {
    const input = h("input", { ...known, type: "checkbox", role: "switch", oninput: () => edit(input.checked) })
    return [input, (value) => (input.checked = value)]
  },
  range(known, edit, { least: min, most: max, step, shown }) {
    const output = h("output", { "aria-live": "off" }) // the slider says it
    const input = h("input", { ...known, type: "range", min, max, step, oninput: () => edit(+input.value) })
    const show = (value) => {
      if (+input.value !== value) input.value = value // not from under the hand that drags it
      input.setAttribute("aria-valuetext", (output.value = shown(value)))
    }
    return [h("div", { class: "range" }, input, output), show]
  },
  choice(known, edit, { options, names }) {
    const radios = options.map((value) => h("input", { type: "radio", name: known.id, value, oninput: () => edit(value) }))
    const swatch = (value) => known.id === "theme-accent" && h("i", { "data-accent": value })
    const labels = radios.map((radio) => h("label", {}, radio, swatch(radio.value), named(radio.value)))
    const show = (value) => radios.forEach((radio) => (radio.checked = radio.value === value))
    return [h("div", { ...known, class: "choices", role: "radiogroup" }, labels), show]
  },
}
