/** The way in: as a guest, or with Google where the server offers it. */
import { h, replace, words } from "../dom.js"
import { tellNextTime } from "../leftovers.js"
import { counted } from "../words.js"

const PURPOSE = "The workbench for generated video: every run, take and setting, in step on all your devices."
const HONEST = "A guest keeps everything on the server, but this browser’s cookie is the only way to it: 30 days after the session ends it is erased. Sign in later, and settings, runs and keys come along."

export function view(app) {
  const { session } = app
  const failure = h("p", { class: "bad", role: "alert" })
  const tell = ({ message }) => replace(failure, message)
  const google = h("div", { id: "google" })
  const offer = () => {
    offerGoogle(app, google, tell).catch(tell)
    return [google, h("button", { onclick: () => stay(session).catch(tell) }, "Continue as guest"), failure, h("p", { class: "hint" }, HONEST)]
  }
  const known = () => [h("p", {}, "Signed in as ", words(session.user.name, 100)), h("a", { class: "button", href: "#/library" }, "Open the library")]
  const old = h("a", { class: "hint", href: "#/old-console" }, "Data in the old browser-only console?")
  const ways = session.user && !session.hasEnded ? known() : offer()
  return { title: "Welcome", element: h("section", { class: "opening" }, h("h1", {}, "Director Console"), h("p", {}, PURPOSE), ways, old) }
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
  const onerror = () => tell({ message: "Google is out of reach. Go on as guest, and sign in later." })
  return document.head.append(h("script", { src: "https://accounts.google.com/gsi/client", onload, onerror }))
}

async function signIn({ settings, outbox, session }, credential) {
  settings.save()
  for (let turn = 0; turn < 30 && outbox.state === "sending"; turn += 1) await new Promise((resolve) => setTimeout(resolve, 100))
  const { runs, settings: profile, history, api_keys: keys, renamed_count: renamed, stayed } = (await session.signIn(credential)).adopted
  const counts = [[runs, "run"], [profile, "profile of settings"], [history, "earlier version"], [keys, "provider key"], [renamed, "run under a new id", "runs under new ids"]]
  const parts = counts.filter(([number]) => number).map((each) => counted(...each))
  const left = stayed.map(({ name, reason }) => ` Key of ${name} left behind: ${reason}.`)
  tellNextTime(`Signed in. ${parts.length ? `Came along: ${parts.join(", ")}.` : ""}${left.join("")}`)
  location.hash = "#/library"
  location.reload()
}
