/** Short messages above everything: what happened, and what can be done about it. */

import { h, icon } from "./dom.js"

const LASTING = 8000 // milliseconds, of what is no error and asks for nothing

export class Notices {
	#shown = new Map()

	constructor(place) {
		this.place = place
	}

	/** `tone`: info | error; `actions`: `[{label, act}]`. Takes the place of the one of its `id`. */
	show(text, { tone = "info", actions = [], id = Symbol("notice") } = {}) {
		this.close(id)
		const close = () => this.close(id)
		const buttons = actions.map(({ label, act }) => h("button", { class: "small", onclick: act }, label))
		const cross = h("button", { class: "bare", "aria-label": "Close this notice" }, icon("cross"))
		for (const button of [...buttons, cross]) button.addEventListener("click", close)
		const role = tone === "error" ? "alert" : "status"
		const notice = h("div", { class: `notice ${tone}`, role }, h("p", {}, text), buttons, cross)
		this.place.append(notice)
		this.#shown.set(id, notice)
		if (tone === "info" && !actions.length) this.#expire(id)
	}

	close(id) {
		this.#shown.get(id)?.remove()
		this.#shown.delete(id)
	}

	/** Not from under somebody's hand. */
	#expire(id) {
		setTimeout(() => (this.#shown.get(id)?.matches(":hover, :focus-within") ? this.#expire(id) : this.close(id)), LASTING)
	}
}
