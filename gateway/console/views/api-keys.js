/** The provider keys: each goes to the server, and is neither kept in the browser nor seen whole again. */
import { newKey } from "../api.js"
import { confirm } from "../dialogs.js"
import { h, replace } from "../dom.js"
import { reading } from "./page.js"

const KEYS = "/api/settings/api-keys"
const STATES = { corrupted: "Cannot be read: enter it again", profile: "Your key", environment: "From the server" }

export function apiKeys(app) {
  const list = h("div", { class: "providers" })
  const rows = {}
  const { read, failure, dispose } = reading(async () => {
    const [keys, catalogue] = await Promise.all([app.api.get(KEYS), app.api.get("/api/providers")])
    for (const key of keys.value.api_keys) {
      const provider = catalogue.value.providers.find(({ id }) => id === key.provider)
      void (rows[key.provider] ??= rowOf(app, list, provider, () => read()))(key)
    }
  }, app.live, "api-keys")
  return { element: h("div", {}, failure, list), dispose }
}

/** Adds a provider to the list; gives what shows how its key stands. */
function rowOf({ api, announce }, list, provider, read) {
  const { id, label, lifecycle: { status, note }, max_duration: most, supports_audio: hasAudio, est_cost_per_second: cost } = provider
  const state = h("p", { class: "state" })
  const wrong = h("p", { class: "bad", role: "alert" })
  const input = h("input", { type: "password", autocomplete: "off", required: true, minlength: 8, "aria-label": `${label} key`, placeholder: "Paste a key" })
  const send = async (method, done, body) => {
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
  const save = (event) => [event.preventDefault(), send("PUT", "saved", { api_key: input.value })]
  const question = { title: `Clear the ${label} key?`, text: "The server forgets it for good.", yes: "Clear", no: "Keep" }
  const clear = async () => (await confirm(question)) && send("DELETE", "cleared")
  const clearing = h("button", { type: "button", class: "danger", onclick: clear }, "Clear key")
  const end = status !== "active" && [h("span", { class: "tag bad" }, status.replace("_", " ")), h("span", { class: "hint" }, note)]
  list.append(h("div", { class: "panel", role: "group", "aria-labelledby": `key-${id}` },
    h("div", { class: "state" }, h("h3", { id: `key-${id}` }, label), end),
    h("p", { class: "hint" }, `${most ? `Up to ${most} s` : "Stills"} · ${hasAudio ? "audio" : "no audio"} · $${cost.toFixed(2)} per second`),
    state,
    h("form", { class: "state", onsubmit: save }, input, h("button", {}, "Save key"), clearing),
    wrong))
  return ({ masked, source }) => {
    const lost = masked === "corrupted" && masked
    clearing.disabled = source !== "profile"
    replace(state, h("span", { class: lost ? "tag bad" : "tag" }, STATES[lost || source] ?? "Not set"), !lost && masked && h("code", {}, masked))
  }
}
