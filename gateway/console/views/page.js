/** What the quiet pages are made of: each reads, says what went wrong where one looks, and reads again when told to. */
import { h, replace } from "../dom.js"
import { ago, moment } from "../words.js"

/** `failure` is the place where it says why it could not be read. */
export function reading(work, source, event) {
	const leaving = new AbortController()
	const failure = h("div", { class: "trouble", role: "alert" })
	const tell = ({ message }) => replace(failure, message, h("button", { onclick: read }, "Try again"))
	const read = () => work().then(() => replace(failure), tell)
	source.addEventListener(event, read, leaving)
	void read()
	return { failure, read, dispose: () => leaving.abort() }
}

export function page(title, heading, { failure, dispose }, ...parts) {
	return { title, dispose, element: h("div", { class: "page" }, h("div", { class: "head" }, heading), failure, parts) }
}

export const row = (name, tag, about, at, ...rest) =>
	h("li", { tabindex: -1 }, h("div", {}, h("h2", {}, name, tag),
		h("p", { class: "hint" }, about, h("time", { datetime: at, title: moment(at) }, ago(at)))), rest)

/** A button that tells why what it does could not be done. */
export const press = ({ notices }, label, work, properties) =>
	h("button", { ...properties, onclick: () => work().catch(({ message }) => notices.show(message, { tone: "error" })) }, label)
