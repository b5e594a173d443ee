/** Where this profile is open, whose it is, and the ways out. */
import { confirm, dialog } from "../dialogs.js"
import { h, replace, words } from "../dom.js"
import { counted, moment } from "../words.js"
import { attempt, reading, when } from "./telling.js"

const SESSIONS = "/api/auth/sessions"
const BROWSERS = ["Edg", "OPR", "Firefox", "Chrome", "CriOS", "Safari", "curl"]
const SYSTEMS = ["iPhone", "iPad", "Android", "Windows", "Mac OS", "CrOS", "Linux"]
const NAMES = { Edg: "Edge", OPR: "Opera", CriOS: "Chrome", "Mac OS": "macOS", CrOS: "ChromeOS" }

export function view(app) {
  const leaving = new AbortController()
  const list = h("ul", { class: "rows", "aria-label": "Signed-in devices" })
  const heading = h("h1", { tabindex: -1 }, "Devices")
  const others = h("button", { hidden: true, onclick: () => void endOthers(app) }, "Sign out all others")
  const { failure, read } = reading(async () => {
    const { sessions } = (await app.api.get(SESSIONS)).value
    const held = list.contains(document.activeElement) && document.activeElement.name
    replace(list, sessions.map((device) => rowOf(app, device)))
    others.hidden = sessions.length < 2
    if (held) (list.querySelector(`[name="${held}"]`) ?? heading).focus()
  })
  app.live.addEventListener("sessions", read, leaving)
  const head = h("div", { class: "head" }, heading, others)
  return { title: "Devices", element: h("div", { class: "page" }, head, failure, list, account(app)), dispose: () => leaving.abort() }
}

function rowOf(app, { id, current, last_seen_at: seen, expires_at: ends, user_agent: agent }) {
  const signs = [BROWSERS, SYSTEMS].map((names) => names.find((each) => agent?.includes(each))).filter(Boolean)
  const name = signs.map((sign) => NAMES[sign] ?? sign).join(" on ") || "Unknown device"
  const end = () => (current ? leave(app) : attempt(app, () => app.api.ask("DELETE", `${SESSIONS}/${id}`)))
  return h("li", {},
    h("div", { class: "grow" },
      h("h2", { title: agent }, `${name} `, current && h("span", { class: "tag good" }, "This device")),
      h("p", { class: "hint" }, "Seen ", when(seen), ` · ends ${moment(ends)}`)),
    h("button", { name: id, onclick: end }, current ? "Sign out" : `Sign out ${name}`))
}

async function endOthers(app) {
  const question = { title: "Sign out all others?", text: "Each is signed out within a second.", yes: "Sign out all", no: "Keep" }
  if (await confirm(question)) await attempt(app, () => app.api.ask("DELETE", SESSIONS))
}

/** Asks where something would be out of reach afterwards. */
async function leave(app) {
  const { session, settings } = app
  const kept = settings.unsent ? `${counted(settings.unsent, "edit")} not sent yet will wait in this browser. ` : ""
  const text = session.user ? kept : `${kept}Nobody can reach this guest’s profile afterwards.`
  if (text && !(await confirm({ title: "Sign out?", text, yes: "Sign out", no: "Stay" }))) return
  if (await attempt(app, () => session.signOut())) location.reload()
}

function account(app) {
  const { user } = app.session
  const way = h("a", { href: "#/welcome", hidden: true }, "Sign in to keep it.")
  if (!user) app.session.clientId().then((id) => (way.hidden = !id), () => {}) // then only the link is missing
  const who = user
    ? ["Signed in as ", words(user.name, 100, "b"), " · ", words(user.email, 200)]
    : ["A guest: everything is on the server, and this browser’s cookie is the only way to it. ", way]
  const erasing = h("button", { class: "danger", onclick: () => void erase(app) }, "Delete everything")
  return h("section", { class: "panel" }, h("h2", {}, "Account"), h("p", {}, who), erasing)
}

async function erase(app) {
  const word = h("input", { type: "text", required: true, pattern: "DELETE", autocomplete: "off", autofocus: true })
  const isMeant = await dialog("Delete everything?", (close) => h("form", { class: "field", onsubmit: (event) => [event.preventDefault(), close(true)] },
    h("p", {}, "Runs, images, settings, history and keys go for good, on every device."),
    h("label", {}, "Type DELETE to go on", word),
    h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => close() }, "Keep"), h("button", { class: "danger" }, "Delete everything"))))
  if (!isMeant || !(await attempt(app, () => app.api.ask("DELETE", "/api/account", { body: { confirm: true } })))) return
  app.outbox.discard(app.outbox.entries)
  location.hash = "#/welcome"
  location.reload()
}
