/** Where this profile is open, whose it is, and the ways out. */
import { confirm, dialog } from "../dialogs.js"
import { h, replace, template, words } from "../dom.js"
import { counted, moment } from "../words.js"
import { page, press, reading, row } from "./page.js"

const SESSIONS = "/api/auth/sessions"
const SIGNS = [[/Edg|OPR/, /Firefox|Chrome|CriOS|Safari/], [/iPhone|iPad|Android|Windows|Mac/, /Linux/]]
const NAMES = { Edg: "Edge", OPR: "Opera", CriOS: "Chrome", Mac: "macOS" }

export function view(app) {
	const list = h("ul", { class: "rows", "aria-label": "Signed-in devices" })
	const heading = h("h1", { tabindex: -1 }, "Devices")
	const question = { title: "Sign out all others?", text: "Each goes within a second.", yes: "Sign out", no: "Keep" }
	const others = press(app, "Sign out all others", async () => (await confirm(question)) && app.api.ask("DELETE", SESSIONS), { hidden: true })
	const devices = reading(async () => {
		const { sessions } = (await app.api.get(SESSIONS)).value
		const held = list.contains(document.activeElement) && document.activeElement.name
		replace(list, sessions.map((device) => rowOf(app, device)))
		others.hidden = sessions.length < 2
		if (held) (list.querySelector(`[name="${held}"]`) ?? heading).focus()
	}, app.live, "sessions")
	return page("Devices", heading, devices, list, others, account(app))
}

function rowOf(app, { id, current, last_seen_at: seen, expires_at: ends, user_agent: agent }) {
	const found = SIGNS.map(([first, second]) => (first.exec(agent) ?? second.exec(agent))?.[0]).filter(Boolean)
	const name = found.map((sign) => NAMES[sign] ?? sign).join(" on ") || "Unknown device"
	const end = async () => (current ? leave(app) : app.api.ask("DELETE", `${SESSIONS}/${id}`))
	const button = press(app, current ? "Sign out" : `Sign out ${name}`, end, { name: id })
	const tag = current && h("span", { class: "tag good" }, "This device")
	return row(h("span", { title: agent }, `${name} `), tag, `Ends ${moment(ends)} · seen `, seen, button)
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
	await work().catch((problem) => {
		live.begin()
		throw problem
	})
	location.reload()
}

function account(app) {
	const { user } = app.session
	const element = template("account")
	const [who, way] = element.querySelectorAll("p, a")
	if (user) replace(who, "Signed in as ", words(user.name, 100), " · ", words(user.email, 200))
	else app.session.clientId().then((id) => (way.hidden = !id), () => {}) // then only the link is missing
	element.append(press(app, "Delete everything", () => erase(app), { class: "danger" }))
	return element
}

async function erase(app) {
	if (!(await dialog("Delete everything?", erasing))) return
	await part(app, async () => {
		await app.api.ask("DELETE", "/api/account", { body: { confirm: true } })
		app.outbox.discard(app.outbox.entries)
		location.hash = "#/welcome"
	})
}

function erasing(close) {
	const form = template("erase")
	form.onsubmit = () => close(true)
	form.querySelector("button").onclick = () => close()
	return form
}
