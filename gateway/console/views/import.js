/** What a document would change; its import, followed to its end whatever breaks; what came in. */

import { api, newKey, Problem } from "../api.js"
import { h, replace, words } from "../dom.js"
import { remember, remembered } from "../storage.js"
import { bytes, STAGES } from "../words.js"
import { bounded, PATH, refresh, swap, undoing } from "./earlier.js"
import { passphraseField } from "./export.js"
import { inWords } from "./plans.js"

const STEPS = ["sending", "staging", "committing", "done"]

export function importPart(app) {
  const place = h("section", { tabindex: -1 })
  const area = dropArea(preview)
  let leaving = null // of the dry run

  function show(title, ...children) {
    place.setAttribute("aria-label", title)
    swap(place, h("h3", {}, title), children)
    app.announce(title, { always: true })
  }

  function preview(file) {
    let order = {}
    const result = h("div", { role: "status" })
    const sealed = h("div", { class: "secret", hidden: true }, passphraseField("Passphrase of the backup"), h("button", {}, "Check"))
    const start = h("button", { type: "button", class: "primary", onclick: () => bring({ ...order, key: newKey() }) }, "Import")
    const form = h("form", { onchange: look, onsubmit: look },
      h("p", {}, words(file.name, 120), ` · ${bytes(file.size)}`),
      h("fieldset", { "aria-label": "How" },
        radio("Merge", "The document wins; what it does not name stays.", true),
        radio("Replace", "Of each part that it has, what it does not name is removed."),
      ),
      sealed, result,
      h("div", { class: "buttons start" }, start, h("button", { type: "button", onclick: leave }, "Cancel")),
    )

    async function look(event) {
      event?.preventDefault()
      const { mode, passphrase } = Object.fromEntries(new FormData(form))
      if (event && mode === order.mode && passphrase === order.passphrase) return
      order = { file, mode, passphrase }
      leaving?.abort()
      leaving = new AbortController()
      const { signal } = leaving
      const bar = h("progress", { "aria-label": "Reading" })
      start.disabled = true
      replace(result, "Reading…", bar)
      try {
        const answer = await upload(order, "&dry_run=true", (share) => (bar.value = share), signal)
        sealed.hidden &&= !answer.warnings.some(({ pointer }) => /^$|^.sealed/.test(pointer))
        replace(result, told(answer))
        start.disabled = false
      } catch (problem) {
        if (signal.aborted) return
        replace(result, trouble(problem), problem.isPassing && h("button", { type: "button", onclick: () => look() }, "Try again"))
        if (problem.code === "restore_under_way") setTimeout(() => signal.aborted || look(), 1000)
      }
    }

    show("What this would change", form)
    void look()
  }

  function leave() {
    leaving.abort()
    replace(place).removeAttribute("aria-label")
    area.querySelector("input").focus()
  }

  async function bring(order) {
    const again = order.file && h("button", { onclick: () => bring(order) }, "Try again")
    area.hidden = true
    remember("import", { key: order.key, owner: app.session.owner })
    try {
      const entry = await followed(app, order, show)
      if (entry?.stage === "done") tellDone(entry)
      else show("Not imported", entry?.outcome.problem.detail ?? STAGES.aborted, again)
    } catch (problem) {
      show("Not imported", trouble(problem), again)
    }
    area.hidden = false
    remember("import", null)
  }

  function tellDone(entry) {
    const keys = entry.outcome.warnings.some(({ pointer }) => /^.(api|sealed)_/.test(pointer)) && h("a", { href: "#/settings/api" }, "Enter the keys")
    show("What came in", told(entry.outcome), h("p", { class: "buttons start" }, h("a", { href: "#/library" }, "See the library"), keys), undoing(app, entry, "Undo this import"))
    refresh(app)
  }

  const left = remembered("import")
  if (left?.owner === app.session.owner) void bring(left)
  return h("div", { class: "panel" }, area, place)
}

function radio(name, hint, checked) {
  const input = h("input", { type: "radio", name: "mode", value: name.toLowerCase(), checked })
  return h("p", {}, h("label", { class: "check" }, input, name), h("span", { class: "hint" }, hint))
}

function dropArea(take) {
  const look = ({ type, dataTransfer, target }) => {
    area.classList.toggle("over", type === "dragover")
    const [file] = type.startsWith("drag") ? [] : (dataTransfer ?? target).files
    if (file) take(file)
    input.value = "" // the same one may be chosen again
  }
  const input = h("input", { type: "file", class: "unseen", onchange: look })
  const area = h("div", { class: "drop", ondragover: look, ondragleave: look, ondrop: look },
    h("label", { class: "button" }, "Import backup", input),
    h("p", {}, "or drop it here: a backup, or an ", h("a", { href: "#/old-console" }, "export of the old console")),
  )
  return area
}

function told(outcome) {
  return [inWords(outcome).map((text) => h("p", {}, text)), places(outcome.warnings)]
}

function trouble({ message, value }) {
  return h("div", { class: "bad" }, message, places(value.errors))
}

function places(all = []) {
  return bounded(all.map(({ pointer, message }) => h("li", {}, words(message), " ", words(pointer, 80, "code"))), 10)
}

/** As api.ask, but of a file, telling the share of it that was sent. */
function upload({ file, mode, passphrase, key }, query, tell, signal) {
  const asked = api.session
  const headers = { "Content-Type": "application/json", ...api.identity() }
  if (passphrase) headers["Animatize-Backup-Passphrase"] = encodeURIComponent(passphrase)
  if (key) headers["Idempotency-Key"] = key
  const request = new XMLHttpRequest()
  request.open("POST", `${PATH}?mode=${mode}${query}`)
  request.responseType = "json"
  for (const header of Object.entries(headers)) request.setRequestHeader(...header)
  request.upload.onprogress = ({ loaded, total }) => tell(loaded / total)
  signal?.addEventListener("abort", () => request.abort())
  request.send(file)
  return new Promise((resolve, reject) => {
    request.onloadend = () => {
      const { status, response } = request
      if (response && status === 200) resolve(response)
      else reject(api.noticed(new Problem(response ? status : 0, response), asked))
    }
  })
}

/** What the journal tells once it has ended, null where it knows nothing. Throws the Problem for which it was refused. */
async function followed({ live }, order, show) {
  const items = STEPS.map((stage) => h("li", {}, STAGES[stage] ?? "Sending"))
  const note = h("p", { role: "status" })
  show("Import under way", h("ol", { "aria-label": "Import stages", class: "stages" }, items), note)
  const tell = (stage) => {
    items.forEach((item, index) => item.setAttribute("aria-current", STEPS[index] === stage && "step"))
    note.textContent = ""
  }
  let isSent = !order.file
  let isOver = isSent
  let refusal = null
  const progress = (share) => {
    isSent = share === 1
    items[0].textContent = `Sending ${Math.floor(share * 100)} %`
    tell(isSent ? "staging" : "sending")
  }
  if (order.file) upload(order, "", progress).catch((problem) => (refusal = problem)).finally(() => (isOver = isSent = true))
  for (;;) {
    await new Promise((resolve) => {
      setTimeout(resolve, 1000)
      live.addEventListener("restore", resolve, { once: true, signal: AbortSignal.timeout(1000) })
    })
    const wasOver = isOver
    if (refusal && !refusal.isPassing) throw refusal
    if (!isSent) continue
    try {
      const { value } = await api.get(`${PATH}s/${order.key}`)
      if (["done", "aborted", "failed"].includes(value.stage)) return value
      tell(value.stage)
    } catch (problem) {
      if (problem.status === 404 && wasOver) return null
      if (problem.status !== 404 && !problem.isPassing) throw problem
      note.textContent = `${problem.message} Asking again…`
    }
  }
}
