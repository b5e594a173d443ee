/** Where this profile is open, whose it is, and the ways out. */
import { confirm, dialog } from "../dialogs.js"
import { replace, template, words } from "../dom.js"
import { tellNextTime } from "../leftovers.js"
import { counted, moment } from "../words.js"
import { forgetBackup } from "./export.js"
import { page, press, reading, row } from "./page.js"

const SESSIONS = "/api/auth/sessions"
const SIGNS = [[/Edg|OPR/, /Firefox|Chrome|CriOS|Safari/], [/iPhone|iPad|Android|Windows|Mac/, /Linux/]]
const NAMES = { Edg: "Edge", OPR: "Opera", CriOS: "Chrome", Mac: "macOS" }

export function view(app) {
	const element = template("devices")
	const [heading, list, others, who, way, erasing] = element.querySelectorAll("h1, .rows, button, .panel p, a")
	tellWho(app.session, who, way)
	press(app, erasing, () => erase(app))
	press(app, others, async () => {
		const question = { title: "Sign out all others?", text: "Each goes within a second.", yes: "Sign out", no: "Keep" }
		if (await confirm(question)) await app.api.ask("DELETE", SESSIONS)
	})
	return page(element, reading(async () => {
		const { sessions } = await app.api.get(SESSIONS)
		const held = list.contains(document.activeElement) && document.activeElement.name
		replace(list, sessions.map((device) => rowOf(app, device)))
		others.hidden = sessions.length < 2
		if (held) (list.querySelector(`[name="${held}"]`) ?? heading).focus()
	}, app.live, "sessions"))
}

function tellWho(session, who, way) {
	const { user } = session
	if (user) replace(who, "Signed in as ", words(user.name, 100), " · ", words(user.email, 200))
	else session.clientId().then((id) => (way.hidden = !id), () => {}) // then only the link is missing
}

function rowOf(app, { id, current, last_seen_at: seen, expires_at: ends, user_agent: agent }) {
	const found = SIGNS.map(([first, second]) => (first.exec(agent) ?? second.exec(agent))?.[0]).filter(Boolean)
	const name = found.map((sign) => NAMES[sign] ?? sign).join(" on ") || "Unknown device"
	const element = row("device", name, `Ends ${moment(ends)}`, seen)
	const [title, tag, button] = element.querySelectorAll("h2, .tag, button")
	title.title = agent ?? ""
	tag.hidden = !current
	button.name = id
	button.textContent = current ? "Sign out" : `Sign out ${name}`
	press(app, button, async () => (current ? leave(app) : app.api.ask("DELETE", `${SESSIONS}/${id}`)))
	return element
}

/** Asks where something would be out of reach afterwards. */
async function leave(app) {
	const { session, settings: { unsent } } = app
	const kept = unsent ? `${counted(unsent, "edit")} not sent yet will wait in this browser. ` : ""
	const text = session.user ? kept : `${kept}Nobody can reach this guest’s profile afterwards.`
	if (text && !(await confirm({ title: "Sign out?", text, yes: "Sign out", no: "Stay" }))) return
	await part(app, () => session.signOut())
}

/** Lets nobody be told of the end that is meant. */
async function part({ live }, work) {
	live.end()
	await forgetBackup()
	await work().catch((problem) => {
		live.begin()
		throw problem
	})
	location.reload()
}

async function erase(app) {
	if (!(await dialog("Delete everything?", question))) return
	await part(app, async () => {
		await app.api.ask("DELETE", "/api/account", { body: { confirm: true } })
		app.outbox.discard(app.outbox.entries)
		app.settings.discard()
		tellNextTime("Everything is deleted.")
		location.hash = "#/welcome"
	})
}

function question(close) {
	const form = template("erase")
	form.onsubmit = () => close(true)
	form.querySelector("button").onclick = () => close()
	return form
}
