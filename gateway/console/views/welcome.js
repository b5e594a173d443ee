/** The way in: as a guest, or with Google where the server offers it. */
import { h, replace, words } from "../dom.js"
import { tellNextTime } from "../leftovers.js"
import { counted } from "../words.js"

export function view(app) {
  const { session } = app
  const failure = h("p", { class: "bad", role: "alert" })
  const tell = ({ message }) => replace(failure, message)
  const google = h("div", { id: "google" })
  const ways = () => {
    offerGoogle(app, google, tell).catch(tell)
    return [google, h("button", { onclick: () => stay(session).catch(tell) }, "Continue as guest"), failure, h("p", { class: "hint" },
      "A guest keeps everything, on the server; but the cookie of this browser is the only way to it, and 30 days after the session ends it is erased. Settings, runs and keys come along when you sign in later.")]
  }
  const known = () => [h("p", {}, "Signed in as ", words(session.user.name, 100, "b")), h("a", { class: "button", href: "#/library" }, "Open the library")]
  return {
    title: "Welcome",
    element: h("section", { class: "opening" },
      h("h1", {}, "Director Console"),
      h("p", { class: "quiet" }, "The workbench for generated video sequences: every run, take and setting, kept safe and in step on all your devices."),
      session.user && !session.hasEnded ? known() : ways(),
      h("a", { class: "hint", href: "#/old-console" }, "Data in the old browser-only console?")),
  }
}

async function stay(session) {
  const isNew = session.hasEnded
  if (isNew) await session.begin()
  session.stayGuest()
  if (location.hash.startsWith("#/welcome")) location.hash = "#/library"
  if (isNew) location.reload()
}

async function offerGoogle(app, place, tell) {
  const id = await app.session.clientId()
  if (!id) return place.remove()
  const onload = () => {
    const { id: identity } = window.google.accounts
    identity.initialize({ client_id: id, ux_mode: "popup", callback: ({ credential }) => signIn(app, credential).catch(tell) })
    identity.renderButton(place, { theme: "filled_black" })
  }
  const onerror = () => tell({ message: "Google is out of reach. As a guest you can go on, and sign in later." })
  return document.head.append(h("script", { src: "https://accounts.google.com/gsi/client", onload, onerror }))
}

async function signIn({ settings, outbox, session }, credential) {
  settings.save()
  for (let turn = 0; turn < 30 && outbox.state === "sending"; turn += 1) await new Promise((resolve) => setTimeout(resolve, 100))
  tellNextTime(cameAlong((await session.signIn(credential)).adopted))
  location.hash = "#/library"
  location.reload()
}

function cameAlong({ runs, settings, history, api_keys: keys, renamed_count: renamed, stayed }) {
  const counts = [[runs, "run"], [settings, "profile of settings"], [history, "earlier version"], [keys, "provider key"]]
  const parts = counts.filter(([number]) => number).map(([number, name]) => counted(number, name))
  const told = ["Signed in.", parts.length && `Came along: ${parts.join(", ")}.`, renamed && `${counted(renamed, "run")} under a new id.`]
  return [...told, ...stayed.map(({ name, reason }) => `Key of ${name} left behind: ${reason}.`)].filter(Boolean).join(" ")
}
