/** The provider keys: each goes to the server, and is neither kept in the browser nor seen whole again. */
import { newKey } from "../api.js"
import { confirm } from "../dialogs.js"
import { h, replace, template } from "../dom.js"
import { named } from "../words.js"
import { reading } from "./page.js"

const KEYS = "/api/settings/api-keys"
const STATES = { corrupted: "Cannot be read: enter it again", profile: "Your key", environment: "From the server" }

export function apiKeys(app) {
	const list = h("div", { class: "providers" })
	const panels = {}
	const { read, failure, dispose } = reading(async () => {
		const [keys, catalogue] = await Promise.all([app.api.get(KEYS), app.api.get("/api/providers")])
		for (const key of keys.api_keys) {
			const provider = catalogue.providers.find(({ id }) => id === key.provider)
			panels[provider.id] ??= panelOf(app, provider, () => read())
			panels[provider.id].show(key)
		}
		if (!list.firstChild) list.append(...Object.values(panels).map(({ panel }) => panel))
	}, app.live, "api-keys")
	return { element: h("div", {}, failure, list), dispose }
}

function panelOf({ api, announce }, { id, label, ...facts }, read) {
	const panel = template("provider")
	const form = panel.querySelector("form")
	const [input, , clearing] = form
	const wrong = panel.lastElementChild
	describe(panel, label, facts)

	async function send(method, done, body) {
		const typed = input.value
		replace(wrong)
		try {
			await api.ask(method, `${KEYS}/${id}`, { body, key: newKey() })
			if (body && input.value === typed) input.value = ""
			input.focus()
			announce(`${label} key ${done}`)
			void read()
		} catch ({ message }) {
			replace(wrong, message)
		}
	}

	form.onsubmit = (event) => {
		event.preventDefault()
		void send("PUT", "saved", { api_key: input.value })
	}
	clearing.onclick = async () => {
		const question = { title: `Clear the ${label} key?`, text: "The server forgets it for good.", yes: "Clear", no: "Keep" }
		if (await confirm(question)) await send("DELETE", "cleared")
	}
	const show = (key) => {
		clearing.disabled = key.source !== "profile"
		replace(panel.querySelector("p"), stateOf(key))
	}
	return { panel, show }
}

function describe(panel, label, { lifecycle: { status, note }, max_duration: most, supports_audio: hasAudio, est_cost_per_second: cost }) {
	const [end, remark, about] = panel.querySelectorAll(".tag, .hint")
	panel.ariaLabel = panel.querySelector("h3").textContent = label
	panel.querySelector("input").ariaLabel = `${label} key`
	replace(about, `${most ? `Up to ${most} s` : "Stills"} · ${hasAudio ? "audio" : "no audio"} · $${cost.toFixed(2)} per second`)
	replace(end, named(status)).hidden = status === "active"
	replace(remark, status !== "active" && note)
}

function stateOf({ masked, source }) {
	const isLost = masked === "corrupted"
	const tag = h("span", { class: isLost ? "tag bad" : "tag" }, STATES[isLost ? masked : source] ?? "Not set")
	return [!isLost && masked && h("code", {}, masked), tag]
}
