/** What stands around every view: the ways through the console, and how the edits stand. */

import { showConflict } from "./conflict.js"
import { announce, h, icon, replace } from "./dom.js"
import { counted } from "./words.js"

const WAYS = [
  { name: "library", label: "Library", shape: "frames" },
  { name: "settings", label: "Settings", shape: "dials" },
  { name: "history", label: "History", shape: "clock" },
  { name: "devices", label: "Devices", shape: "devices" },
]
const PART_OF = { run: "library" }

export function showNavigation({ router, session }) {
  const navigation = document.getElementById("navigation")
  const links = WAYS.map(({ name, label, shape }) => h("a", { href: `#/${name}`, "data-way": name }, icon(shape), h("span", {}, label)))
  replace(navigation, links)
  const update = () => {
    const { name } = router.place
    navigation.hidden = !session.isWelcome
    for (const link of links) {
      if (link.dataset.way === (PART_OF[name] ?? name)) link.setAttribute("aria-current", "page")
      else link.removeAttribute("aria-current")
    }
  }
  router.addEventListener("change", update)
  session.addEventListener("change", update)
  update()
}

export function showSync(app) {
  const place = document.getElementById("sync")
  let told = null
  const update = () => {
    const { state, text } = syncState(app)
    if (text === told) return
    told = text
    place.dataset.state = state
    const button = state === "conflict" ? h("button", { class: "small", onclick: () => void showConflict(app, { again: true }) }, text) : text
    replace(place, button)
    if (state === "refused" || state === "ended") announce(text, { always: true })
  }
  for (const source of [app.settings, app.outbox, app.session]) source.addEventListener("change", update)
  update()
}

/** How the edits of this device stand, in a word and in words. */
export function syncState({ settings, outbox, session }) {
  const kept = `${counted(settings.unsent, "edit")} kept`
  if (session.hasEnded) return { state: "ended", text: settings.unsent ? `Session ended · ${kept}` : "Session ended" }
  if (outbox.state === "waiting") return { state: "offline", text: settings.unsent ? `Offline · ${kept}` : "Offline" }
  const texts = {
    conflict: "Conflict",
    unsaved: "Unsaved",
    refused: "Not saved",
    saved: settings.saved ? `Saved v${settings.saved.version}` : "",
  }
  const { state } = settings
  return outbox.entries.length && state === "saved" ? { state: "saving", text: "Saving…" } : { state, text: texts[state] ?? "Saving…" }
}
