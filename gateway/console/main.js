/** Puts the console together: who this is first, then the state, then what is shown. */

import { api, Problem } from "./api.js"
import { showConflict } from "./conflict.js"
import { showDebug } from "./debug.js"
import { announce } from "./dom.js"
import { tellKeptEdits, tellSessionEnd, tellWhatWasLeft } from "./leftovers.js"
import { Live } from "./live.js"
import { Notices } from "./notices.js"
import { Outbox } from "./outbox.js"
import { Router } from "./router.js"
import { RunsStore } from "./runs-store.js"
import { Session } from "./session.js"
import { SettingsStore } from "./settings-store.js"
import { showFailure, showNavigation, showSync } from "./shell.js"
import { applyTheme } from "./theme.js"

const session = new Session()
const outbox = new Outbox(session)
const settings = new SettingsStore(session, outbox)
const runs = new RunsStore(outbox)
const live = new Live()
const notices = new Notices(document.getElementById("notices"))
const main = document.getElementById("main")

/** What every view is given. */
const app = { api, session, outbox, settings, runs, live, notices, announce }
const router = (app.router = new Router(main, app))

async function start() {
	try {
		await session.begin()
	} catch (problem) {
		return showFailure(main, "The console cannot start", problem.message)
	}
	followEachOther()
	showNavigation(app)
	showSync(app)
	showDebug(app)
	router.begin()
	live.begin()
	tellWhatWasLeft(app)
	tellKeptEdits(app)
	await settings.begin().catch(whenItIsBack)
	return outbox.drain()
}

function followEachOther() {
	settings.addEventListener("change", () => applyTheme(settings))
	settings.addEventListener("change", () => showConflict(app))
	session.addEventListener("ended", () => session.user || settings.leave())
	session.addEventListener("leaving", () => settings.leave()) // what was changed is this session's, not the next one's
	session.addEventListener("leaving", () => live.end())
	session.addEventListener("ended", () => tellSessionEnd(app))
	session.addEventListener("change", () => router.check())
	session.addEventListener("change", () => tellKeptEdits(app))
	live.addEventListener("settings", ({ detail }) => settings.follow(detail.version).catch(whenItIsBack))
	live.addEventListener("runs", ({ detail }) => runs.follow(detail.token))
	live.addEventListener("change", () => live.isConnected && catchUp())
	outbox.addEventListener("refused", ({ detail }) => tellRefused(detail))
	addEventListener("pagehide", () => settings.savesItself && settings.save())
}

function catchUp() {
	outbox.retry()
	void runs.retry()
	if (!settings.saved) settings.begin().catch(whenItIsBack)
}

/** What cannot be read is read once the connection is back; the views say so meanwhile. */
function whenItIsBack(problem) {
	if (!(problem instanceof Problem)) throw problem
}

function tellRefused({ entry, problem }) {
	if (problem.value.conflicts) return
	const what = entry.topic === "runs" ? "A change of a run" : "A change of the settings"
	notices.show(`${what} was not taken: ${problem.message}`, { tone: "error" })
}

void start()
