/** Makes elements. What comes from people becomes text, never markup: nothing parses HTML, and the page's policy forbids it. */

const SVG = "http://www.w3.org/2000/svg"
const OWN_PROPERTIES = new Set(["value", "checked", "disabled", "selected", "indeterminate", "open", "multiple"])

/** `h("button", {onclick: save, "aria-pressed": false}, "Save")`. A boolean is an attribute that is there or not, but for `aria-…`. */
export function h(tag, properties = {}, ...children) {
	const element = document.createElement(tag)
	for (const [name, value] of Object.entries(properties)) set(element, name, value)
	element.append(...present(children))
	return element
}

function set(element, name, value) {
	if (value === undefined || value === null) return
	if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
	else if (OWN_PROPERTIES.has(name)) element[name] = value
	else if (typeof value === "boolean" && !name.startsWith("aria-")) element.toggleAttribute(name, value)
	else element.setAttribute(name, value)
}

export function replace(element, ...children) {
	element.replaceChildren(...present(children))
	return element
}

function present(children) {
	return children.flat(Infinity).filter((each) => each !== undefined && each !== null && each !== false)
}

const SHAPES = {
	frames: "M3 5h18v14H3zM8 5v14M16 5v14M3 9.7h5M3 14.3h5M16 9.7h5M16 14.3h5",
	dials: "M4 7h9M19 7h1M4 17h1M11 17h9M13 4.5v5h6v-5zM5 14.5v5h6v-5z",
	clock: "M12 3a9 9 0 1 0 .01 0M12 7v5.2l3.4 2",
	devices: "M3 5h13v10H3zM7 19h6M17 9h4v10h-4z",
	star: "M12 3.6l2.6 5.4 5.9.8-4.3 4.1 1 5.9-5.2-2.8-5.2 2.8 1-5.9L3.5 9.8l5.9-.8z",
	left: "M14.5 5l-7 7 7 7",
	right: "M9.5 5l7 7-7 7",
	cross: "M6 6l12 12M18 6L6 18",
}

export function icon(name) {
	const svg = document.createElementNS(SVG, "svg")
	const path = document.createElementNS(SVG, "path")
	path.setAttribute("d", SHAPES[name])
	svg.append(path)
	for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: `icon ${name}`, "aria-hidden": "true" })) {
		svg.setAttribute(key, value)
	}
	return svg
}

/** Text of a person: its own direction, and no more than a place can show. */
export function words(text, most = Infinity, tag = "span", properties = {}) {
	return h(tag, { dir: "auto", ...properties }, shortened(text, most))
}

/** At most so many UTF-16 units, cut between characters. */
export function shortened(text, most) {
	const whole = String(text ?? "")
	return whole.length <= most ? whole : `${whole.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…`
}

let announcer
let repeats = false

/** Tells a screen reader; `always`: what went wrong is told whatever the settings say. */
export function announce(text, { always = false } = {}) {
	announcer ??= document.getElementById("announcer")
	if (!always && document.documentElement.dataset.announce === "off") return
	repeats = !repeats
	announcer.textContent = text + (repeats ? "" : "\u00a0") // the same text twice would not be told twice
}
