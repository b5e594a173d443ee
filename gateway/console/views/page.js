/** What the quiet pages are made of: each reads, says what went wrong where one looks, and reads again when told to. */
import { h, replace, template } from "../dom.js"
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

export function page(element, { failure, dispose }) {
	element.firstElementChild.after(failure)
	return { element, title: element.querySelector("h1").textContent, dispose }
}

/** A row after the template of this id. */
export function row(id, name, about, at) {
	const element = template(id)
	const [title, told, time] = element.querySelectorAll("span:not(.tag), time")
	title.textContent = name
	told.textContent = about
	Object.assign(time, { dateTime: at, title: moment(at), textContent: ago(at) })
	return element
}

/** Lets a button tell why what it does could not be done. */
export function press({ notices }, button, work) {
	button.onclick = () => work().catch(({ message }) => notices.show(message, { tone: "error" }))
}
