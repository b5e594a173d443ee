/** One run: its frame, its slate and its takes; read when it is opened, and again when it is changed elsewhere. */

import { confirm } from "../dialogs.js"
import { announce, h, icon, replace, shortened, words } from "../dom.js"
import { same } from "../merging.js"
import { pathOf } from "../runs-store.js"
import { moment, shownValue } from "../words.js"
import { lastSeen, libraryHash, picture, statusMark } from "./library.js"

export function view({ api, notices, outbox, router, runs, settings }, place) {
  const left = new AbortController()
  let id, run, isRead, source, isCompared, startX
  const heading = h("h1", { dir: "auto" })
  const remove = h("button", { class: "danger small", onclick: ask }, "Delete run")
  const frame = h("figure")
  const previous = h("button", { "aria-label": "Previous run", onclick: () => go(-1) }, icon("left"))
  const next = h("button", { "aria-label": "Next run", onclick: () => go(1) }, icon("right"))
  const failure = h("p", { role: "alert" })
  const facts = h("dl", { class: "panel" })
  const compare = h("button", { class: "small", onclick: () => adapt((isCompared = compare.ariaPressed !== "true")) }, "Compare takes")
  const takes = h("div")
  const prompt = h("div", { role: "group", "aria-label": "Prompt" })
  const parameters = h("dl", { role: "group", "aria-label": "Parameters" })
  const payload = h("pre", { tabindex: 0 })
  const copied = h("button", { class: "small", onclick: copy }, "Copy")
  const raw = h("details", { ontoggle: adapt }, h("summary", {}, "Raw payload"), copied, payload)
  const element = h("section", { class: "run" },
    h("div", { class: "head" }, back(), heading, remove),
    h("div", { class: "stage", onpointerdown: ({ clientX }) => (startX = clientX), onpointerup: swiped }, frame, previous, next),
    failure, facts,
    h("div", { class: "buttons start" }, h("h2", {}, "Takes"), compare), takes,
    h("h2", {}, "Prompt"), prompt, h("h2", {}, "Parameters"), parameters, raw,
  )

  function back() {
    return h("a", { href: libraryHash(runs.filter) }, "Back to library")
  }

  function wants(name, otherwise = true, section = "developer") {
    return settings.value([section, name], otherwise)
  }

  function moveTo({ rest }) {
    if (left.signal.aborted) return false
    id = lastSeen.id = rest
    run = null
    isRead = false
    know(runs.run(id) ?? {})
    follow()
    void read()
    return true
  }

  async function read() {
    const asked = id
    await null // by then an edit of one's own is in the outbox, and until it is answered the server knows less
    if (isRead && outbox.entries.some(({ topic }) => topic === "runs")) return
    try {
      const { value } = await api.get(pathOf(id))
      if (asked !== id) return
      isRead = true
      know(value)
    } catch (problem) {
      if (asked === id) tell(problem)
    }
  }

  function tell({ status, message }) {
    if (status !== 404) return replace(failure, message, " ", h("button", { onclick: read }, "Try again"))
    left.abort()
    const why = h("p", { role: "alert" }, "It has been deleted, here or on another device.")
    return replace(element, h("div", { class: "empty" }, h("h1", {}, "This run is gone"), why, back()))
  }

  function know(found) {
    replace(failure)
    if (same(run, found)) return
    run = found
    const wanted = run.source_image_url ?? (run.source_image_data_url && `${pathOf(id)}/source-image`)
    if (wanted !== source || !frame.firstChild) replace(frame, picture(wanted, { alt: "Source frame", draggable: "false" }))
    source = wanted
    heading.textContent = shortened(run.intent || "Untitled run", 90)
    document.title = `${heading.textContent} · ANIMAtiZE Director Console`
    draw(run)
  }

  function draw({ status, params = {}, preset, created_at: made, variants = [], intent }) {
    const { provider, model } = variants.find((each) => each.model) ?? {}
    define(facts, {
      Status: statusMark(status),
      Provider: params?.provider ?? provider,
      Model: model,
      Preset: preset && shownValue(["preferences", "defaultPreset"], preset),
      Made: moment(made),
      "Run id": id,
    })
    const at = [...takes.querySelectorAll("button")].indexOf(document.activeElement)
    replace(takes, variants.map(take))
    takes.querySelectorAll("button")[at]?.focus()
    replace(prompt, long(intent, 2000))
    define(parameters, params ?? {})
    adapt()
  }

  function adapt() {
    const isBeside = isCompared ?? wants("autoOpenCompare", true, "preferences")
    compare.ariaPressed = isBeside
    takes.className = isBeside ? "takes beside" : "takes"
    raw.hidden = !wants("showRawPayload", false)
    if (raw.open) payload.textContent = shortened(JSON.stringify(run, withoutImages, 2), 200_000)
  }

  function take(each, index) {
    const isFavorite = each.favorite === true
    const star = h("button", { class: "bare", "aria-label": "Favourite", "aria-pressed": isFavorite, onclick: turn }, icon("star"))
    function turn() {
      const favorite = star.ariaPressed !== "true"
      star.ariaPressed = favorite
      runs.setFavorite({ ...run, source_image_url: source, source_image_data_url: null }, each.id, favorite)
      run = { ...run, variants: run.variants.with(index, { ...run.variants[index], favorite }) }
    }
    return h("article", { class: "panel", "aria-labelledby": `take-${index}` },
      words(each.label ?? each.id, 80, "h3", { id: `take-${index}` }), star,
      h("p", { class: "quiet" }, statusMark(each.status), words(` · ${each.provider ?? "No provider"} ${each.model ?? ""}`, 80)),
      each.error && words(known(each.error), 1000, "p", { class: "bad" }),
      long(each.prompt_text, 300),
    )
  }

  function neighbour(step) {
    const at = runs.runs.findIndex((each) => each.run_id === id)
    if (at > runs.runs.length - 4) void runs.more()
    return at < 0 ? undefined : runs.runs[at + step]
  }

  function go(step) {
    const to = neighbour(step)
    if (!to) return
    location.replace(`#/run/${encodeURIComponent(to.run_id)}`)
    announce(shortened(to.intent, 90))
  }

  function follow() {
    previous.ariaDisabled = !neighbour(-1)
    next.ariaDisabled = !neighbour(1)
  }

  function changed({ detail: { kind, ids } }) {
    follow()
    if (ids.includes(id) || (isRead && kind === "list")) void read()
  }

  function pressed({ key, target, altKey, ctrlKey, metaKey }) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key]
    const isTaken = altKey || ctrlKey || metaKey || target.closest("pre, dialog")
    if (step && !isTaken && wants("enableKeyboardTimeline")) go(step)
  }

  function swiped({ clientX }) {
    const way = clientX - startX
    if (Math.abs(way) > 60 && wants("gestureNavigation")) go(way < 0 ? 1 : -1)
  }

  async function ask() {
    const text = "It goes from all devices, with its takes and its frame."
    if (!(await confirm({ title: "Delete this run?", text, yes: "Delete", no: "Keep" }))) return
    left.abort()
    lastSeen.id = (neighbour(1) ?? neighbour(-1))?.run_id
    runs.remove(run)
    router.go(libraryHash(runs.filter))
    notices.show("The run is deleted.")
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(payload.textContent)
      notices.show("Copied.")
    } catch {
      notices.show("The browser does not copy it: select the text instead.", { tone: "error" })
    }
  }

  runs.addEventListener("change", changed, left)
  settings.addEventListener("change", adapt, left)
  addEventListener("keydown", pressed, left)
  runs.show(runs.filter)
  moveTo(place)
  return { element, title: heading.textContent, moveTo, dispose: () => left.abort() }
}

function define(list, values) {
  replace(list, Object.entries(values).map(([name, value]) => h("div", {}, words(name, 80, "dt"), h("dd", { dir: "auto" }, known(value)))))
}

function known(value) {
  if (value instanceof Node) return value
  if ([undefined, null, "", "null", "undefined"].includes(value)) return "Not set"
  return shortened(typeof value === "string" ? value : JSON.stringify(value), 400)
}

/** The beginning of a text, and the rest of it for who asks. */
function long(text, most) {
  const beginning = words(text, most, "p")
  const turn = () => {
    const isOpen = more.ariaExpanded !== "true"
    more.ariaExpanded = isOpen
    beginning.textContent = shortened(text, isOpen ? 100_000 : most)
  }
  const more = String(text).length > most && h("button", { class: "small", "aria-expanded": false, onclick: turn }, "Show all")
  return [beginning, more]
}

function withoutImages(_, value) {
  return typeof value === "string" && value.startsWith("data:") ? shortened(value, 60) : value
}
