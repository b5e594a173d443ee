/** Puts the console together: who this is first, then the state, then what is shown. */

import { api, Problem } from "./api.js"
import { showConflict } from "./conflict.js"
import { announce, h, replace } from "./dom.js"
import { Live } from "./live.js"
import { Notices } from "./notices.js"
import { Outbox } from "./outbox.js"
import { Router } from "./router.js"
import { RunsStore } from "./runs-store.js"
import { Session } from "./session.js"
import { SettingsStore } from "./settings-store.js"
import { showNavigation, showSync } from "./shell.js"
import { applyTheme } from "./theme.js"
import { showDebug } from "./debug.js"
import { tellKeptEdits, tellSessionEnd, tellWhatWasLeft } from "./leftovers.js"

const session = new Session()
const outbox = new Outbox(session)
const settings = new SettingsStore(session, outbox)
const runs = new RunsStore(outbox)
const live = new Live()
const notices = new Notices(document.getElementById("notices"))
const main = document.getElementById("main")

/** What every view is given. */
const app = { api, session, outbox, settings, runs, live, notices, announce }
const router = new Router(main, app)
app.router = router

async function start() {
  try {
    await session.begin()
  } catch (problem) {
    return showFailure(problem)
  }
  followEachOther()
  showNavigation(app)
  showSync(app)
  showDebug(app)
  router.begin()
  live.begin()
  tellWhatWasLeft(app)
  tellKeptEdits(app)
  await readSettings()
  void outbox.drain()
}

function followEachOther() {
  settings.addEventListener("change", () => applyTheme(settings))
  settings.addEventListener("change", () => settings.conflict && showConflict(app))
  session.addEventListener("ended", () => !session.user && settings.leave())
  session.addEventListener("leaving", () => settings.leave()) // what was changed is this session's, not the next one's
  session.addEventListener("leaving", () => live.end())
  session.addEventListener("ended", () => tellSessionEnd(app))
  session.addEventListener("change", () => router.check())
  session.addEventListener("change", () => tellKeptEdits(app))
  live.addEventListener("settings", ({ detail }) => void settings.follow(detail.version).catch(later))
  live.addEventListener("runs", ({ detail }) => void runs.follow(detail.token))
  live.addEventListener("change", () => live.isConnected && catchUp())
  outbox.addEventListener("refused", ({ detail }) => tellRefused(detail))
  addEventListener("pagehide", () => settings.value(["behavior", "autoSave"], true) && settings.save())
}

/** Once the server is there again, what waits for it need not wait any longer. */
function catchUp() {
  outbox.retry()
  if (!settings.saved) void readSettings()
  if (runs.problem) void runs.reload()
}

async function readSettings() {
  try {
    await settings.begin()
  } catch (problem) {
    later(problem)
  }
}

/** What could not be read is read again once the connection is back: the views say so meanwhile. */
function later(problem) {
  if (!(problem instanceof Problem)) throw problem
}

function tellRefused({ entry, problem }) {
  if (problem.value.conflicts) return
  notices.show(`The server did not take ${entry.about}: ${problem.message}`, { tone: "error" })
}

function showFailure(problem) {
  const again = h("button", { class: "primary", onclick: () => location.reload() }, "Try again")
  const why = h("p", {}, problem.message)
  replace(main, h("section", { class: "failure", role: "alert" }, h("h1", {}, "The console cannot start"), why, again))
}

void start()
