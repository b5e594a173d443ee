/** Makes elements. What comes from people becomes text, never markup: nothing parses HTML, and the page's policy forbids it. */

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

export function icon(name) {
	const svg = template("icon")
	svg.classList.add(name)
	svg.firstElementChild.setAttribute("href", `#icon-${name}`)
	return svg
}

/** A copy of the one element that index.html holds under this id. */
export function template(id) {
	return document.importNode(document.getElementById(id).content.firstElementChild, true)
}

/** The same as `element`, and each part of it that bears a name under that name. */
export function copyOf(id) {
	const element = template(id)
	const parts = [...element.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part])
	return { element, ...Object.fromEntries(parts) }
}

/** Dispatches an event to whoever listens to `source`. */
export function tell(source, type = "change", detail) {
	source.dispatchEvent(new CustomEvent(type, { detail }))
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
