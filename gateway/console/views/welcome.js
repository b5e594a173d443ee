/** The way in: as a guest, or with Google where the server offers it. */
import { h, shortened, template } from "../dom.js"
import { tellNextTime } from "../leftovers.js"
import { counted } from "../words.js"

const GOOGLE = "https://accounts.google.com/gsi/client"

export function view(app) {
	const { session } = app
	const element = template("welcome")
	const [offer, known] = element.querySelectorAll(".ways")
	if (session.user && !session.hasEnded) {
		offer.remove()
		known.hidden = false
		known.querySelector("bdi").textContent = shortened(session.user.name, 100)
	} else {
		const tell = ({ message }) => (offer.querySelector("[role=alert]").textContent = message)
		offer.querySelector("button").onclick = () => stay(session).catch(tell)
		offerGoogle(app, offer.querySelector("#google"), tell).catch(tell)
	}
	return { element, title: "Welcome" }
}

async function stay(session) {
	const isNew = session.hasEnded
	if (isNew) await session.begin()
	session.stayGuest()
	if (location.hash.startsWith("#/welcome")) location.hash = "#/library"
	if (isNew) location.reload()
}

async function offerGoogle(app, place, tell) {
	const client_id = await app.session.clientId()
	if (!client_id) return place.remove()
	const onload = () => {
		const { id } = window.google.accounts
		id.initialize({ client_id, ux_mode: "popup", callback: ({ credential }) => signIn(app, credential).catch(tell) })
		id.renderButton(place, { theme: "filled_black" })
	}
	const onerror = () => tell({ message: "Google is out of reach. Go on as guest, and sign in later." })
	return document.head.append(h("script", { src: GOOGLE, onload, onerror }))
}

async function signIn({ settings, outbox, session }, credential) {
	settings.save()
	for (let turn = 0; turn < 30 && outbox.state === "sending"; turn += 1) await new Promise((resolve) => setTimeout(resolve, 100))
	tellNextTime(inWords(await session.signIn(credential)))
	location.hash = "#/library"
	location.reload()
}

function inWords({ runs, settings, history, api_keys, renamed_count, stayed }) {
	const counts = [
		[runs, "run"],
		[settings, "profile of settings"],
		[history, "earlier version"],
		[api_keys, "provider key"],
		[renamed_count, "run under a new id", "runs under new ids"],
	]
	const parts = counts.filter(([number]) => number).map((each) => counted(...each))
	const left = stayed.map(({ name, reason }) => ` Key of ${name} left behind: ${reason}.`)
	return `Signed in. ${parts.length ? `Came along: ${parts.join(", ")}.` : ""}${left.join("")}`
}
