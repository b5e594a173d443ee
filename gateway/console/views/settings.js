/** Every setting as a control that saves itself, beside the provider keys and the backups. */
import { h, template } from "../dom.js"
import { inUnits, named, SETTINGS } from "../words.js"
import { apiKeys } from "./api-keys.js"
import { dataSection } from "./data.js"
import { reading } from "./page.js"

export function view(app, place) {
	const { settings } = app
	const element = template("settings")
	const heading = element.querySelector("h1")
	const save = element.querySelector(".save")
	const part = (name) => element.querySelector(`[data-part="${name}"]`)
	const keys = apiKeys(app)
	const data = dataSection(app)
	part("api").append(keys.element)
	part("data").append(data.element)
	const controls = SETTINGS.map((setting) => controlOf(settings, setting))
	for (const { path, row } of controls) part(path[0]).append(row)
	save.onclick = () => settings.save()

	async function follow() {
		for (const { path, row, show } of controls) {
			show(settings.value(path.join(".")))
			row.disabled = !settings.saved
		}
		const isDone = settings.state !== "unsaved" || settings.savesItself
		if (isDone && save === document.activeElement) heading.focus({ preventScroll: true })
		save.hidden = isDone
		if (!settings.saved) await settings.begin()
	}

	function moveTo({ rest }) {
		const target = [...element.querySelectorAll("h2")].find(({ id }) => id === `/settings/${rest}`) ?? heading
		target.scrollIntoView()
		target.focus({ preventScroll: true })
		return true
	}

	const state = reading(follow, settings, "change")
	save.parentNode.prepend(state.failure)
	return {
		title: "Settings Console",
		element,
		shown: () => place.rest && moveTo(place),
		moveTo,
		dispose: () => [state, keys, data].forEach((each) => each.dispose()),
	}
}

function controlOf(settings, { path, kind, label, hint, ...options }) {
	const id = path.join("-")
	const about = hint && h("p", { class: "hint", id: `${id}-hint` }, hint)
	const known = { id, "aria-labelledby": `${id}-name`, "aria-describedby": about?.id }
	const [control, show] = KINDS[kind](known, (value) => settings.edit(path, value), options)
	const row = h("fieldset", { role: "none" }, h("div", {}, h("label", { id: `${id}-name`, for: id }, label), about), control)
	return { path, show, row }
}

const KINDS = {
	switch(known, edit) {
		const input = h("input", { ...known, type: "checkbox", role: "switch", oninput: () => edit(input.checked) })
		return [input, (value) => (input.checked = value)]
	},
	range(known, edit, { least: min, most: max, step, unit }) {
		const output = h("output", { "aria-live": "off" }) // the slider says it
		const input = h("input", { ...known, type: "range", min, max, step, oninput: () => edit(+input.value) })
		const show = (value) => {
			if (+input.value !== value) input.value = value // not from under the hand that drags it
			input.setAttribute("aria-valuetext", (output.value = inUnits(value, unit)))
		}
		return [h("div", { class: "range" }, input, output), show]
	},
	choice(known, edit, { options }) {
		const radios = options.map((value) => h("input", { type: "radio", name: known.id, value, oninput: () => edit(value) }))
		const swatch = (value) => known.id === "theme-accent" && h("i", { "data-accent": value })
		const labels = radios.map((radio) => h("label", {}, radio, swatch(radio.value), named(radio.value)))
		const show = (value) => radios.forEach((radio) => (radio.checked = radio.value === value))
		return [h("div", { ...known, class: "choices", role: "radiogroup" }, labels), show]
	},
}
