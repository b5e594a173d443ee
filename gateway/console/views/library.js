/** The contact sheet: every run as its frame and a few words, the newest first. */

import { newKey } from "../api.js"
import { confirm } from "../dialogs.js"
import { announce, h, icon, replace, words } from "../dom.js"
import { STATUSES, counted, moment, statusName } from "../words.js"

const cards = new Map() // by run id; they outlive the view: coming back to thousands is quick
export const lastSeen = {} // `id` of the run from whose card the keyboard goes on

export function libraryHash(filter) {
  return `#/library?${new URLSearchParams(Object.entries(filter).filter(([, value]) => value))}`.replace(/\?$/, "")
}

export function statusMark(status) {
  return h("span", { "data-status": status }, statusName(status))
}

export function picture(src, properties) {
  const none = icon("frames")
  const image = src && h("img", { src, alt: "", ...properties, onerror: () => image.replaceWith(none) })
  return image || none
}

export function view({ api, notices, router, runs, settings }, place) {
  const heading = h("h1", { tabindex: -1 }, "Library")
  const count = h("p", { class: "quiet" })
  const search = h("input", { type: "search", name: "q", "aria-label": "Search runs", placeholder: "Search runs" })
  const status = choice("Status", STATUSES.map((each) => [each, statusName(each)]))
  const provider = choice("Provider", [])
  const favorite = h("button", { onclick: () => ask({ favorite: !filter.favorite && "true" }) }, icon("star"), "Favourites")
  const all = h("button", { onclick: () => router.go("#/library") }, "Clear filters")
  const list = h("ul", { class: "sheet", "aria-label": "Runs" })
  const message = h("div")
  const older = h("button", { onclick: more }, "Show older runs")
  const element = h("section", {},
    h("div", { class: "head" },
      heading, count, h("span", { class: "grow" }),
      h("button", { class: "danger small", onclick: clear }, "Clear all runs"),
    ),
    h("search", { class: "filters", oninput: askSoon }, search, status, provider, favorite, all),
    list, message, older,
  )
  const end = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && more(), { rootMargin: "1200px" })
  let filter, timer, wanted

  function moveTo({ query }) {
    filter = Object.fromEntries(query)
    ask()
    return true
  }

  function askSoon({ target: { name, value } }) {
    filter[name] = value
    clearTimeout(timer)
    timer = setTimeout(ask, 250)
  }

  function ask(change) {
    wanted = "reload"
    Object.assign(filter, change)
    router.note(libraryHash(filter))
    runs.show(filter)
    show()
  }

  function more() {
    wanted = "more"
    void runs.more()
  }

  /** The keyboard stays where it is or, where that goes, near. */
  function changed({ detail }) {
    const at = document.activeElement
    const last = at === older ? list.lastChild : null
    if (detail.kind !== "state") arrange(list, runs.runs)
    show()
    if (last?.nextSibling) last.nextSibling.querySelector("a").focus()
    else if (!at.checkVisibility()) heading.focus({ preventScroll: true })
  }

  function show() {
    const { runs: { length }, problem, isLoading, isComplete } = runs
    const isOpen = !problem && (isLoading || !isComplete)
    for (const field of [search, status, provider]) field.value = filter[field.name] ?? ""
    favorite.ariaPressed = Boolean(filter.favorite)
    all.hidden = !runs.isFiltered
    const text = length || !isOpen ? `${counted(length, "run")} shown` : ""
    if (count.textContent !== text) announce((count.textContent = text))
    list.ariaBusy = isLoading
    if (!length) replace(list, isOpen && Array.from({ length: 12 }, () => h("li")))
    if (problem) list[wanted === "more" ? "after" : "before"](message) // where the person looks
    replace(message, problem ? failure() : !length && !isOpen && empty(runs.isFiltered))
    older.hidden = !length || isComplete || problem
    end.unobserve(older) // observed anew, it tells anew whether it is near
    end.observe(older)
  }

  function failure() {
    return h("div", { class: "empty", role: "alert" },
      h("h2", {}, "The runs cannot be read"),
      runs.problem.message,
      h("button", { onclick: () => runs[wanted]() }, "Try again"),
    )
  }

  async function clear() {
    const text = "Every run is deleted, on all devices, whether it is shown here or not."
    const question = { title: "Clear all runs?", text, yes: "Clear all", no: "Keep" }
    if (settings.value(["behavior", "confirmBeforeClear"], true) && !(await confirm(question))) return
    try {
      notices.show(`${counted(await runs.clear(newKey()), "run")} deleted.`)
    } catch (problem) {
      notices.show(`The runs are not cleared: ${problem.message}`, { tone: "error" })
    }
  }

  async function nameProviders() {
    const { value } = await api.get("/api/providers")
    provider.append(...value.providers.map(({ id, label }) => h("option", { value: id }, label)))
    show()
  }

  function dispose() {
    clearTimeout(timer)
    end.disconnect()
    runs.removeEventListener("change", changed)
  }

  function shown() {
    cards.get(lastSeen.id)?.querySelector("a").focus()
    lastSeen.id = null
  }

  runs.addEventListener("change", changed)
  arrange(list, runs.runs)
  moveTo(place)
  nameProviders().catch(() => {}) // the rest can be used without
  return { element, title: "Library", moveTo, dispose, shown }
}

function choice(label, options) {
  const all = [["", `${label}: any`], ...options].map(([value, text]) => h("option", { value }, text))
  return h("select", { name: label.toLowerCase(), "aria-label": label }, all)
}

function empty(isFiltered) {
  if (isFiltered) return h("h2", { class: "empty" }, "Nothing found")
  return h("div", { class: "empty" },
    h("h2", {}, "No runs yet"),
    "They appear here as they are made, or come along from elsewhere.",
    h("a", { class: "button primary", href: "#/settings/data" }, "Import backup"),
    h("a", { href: "#/old-console" }, "Coming from the old console?"),
  )
}

/** What stays in its place is not touched, so that the keyboard stays as well. */
function arrange(list, runs) {
  const wanted = new Set(runs.map((run) => run.run_id))
  for (const [id, card] of cards) if (!wanted.has(id)) card.remove(cards.delete(id))
  let place = list.firstChild
  for (const run of runs) {
    const card = cardOf(run)
    if (card === place) place = place.nextSibling
    else list.insertBefore(card, place)
  }
  while (list.children.length > runs.length) list.lastChild.remove()
}

function cardOf(run) {
  const { run_id: id, variants: takes = [], params } = run
  const card = cards.get(id) ?? h("li")
  if (card.run === run) return card
  const hasFocus = card.contains(document.activeElement)
  const link = h("a", { href: `#/run/${encodeURIComponent(id)}` }, words(run.intent || "Untitled run", 300))
  const provider = params?.provider ?? takes.find((take) => take.provider)?.provider ?? "No provider"
  const star = takes.some((take) => take.favorite === true) && [icon("star"), h("span", { class: "unseen" }, "Favourite, ")]
  const number = h("span", {}, star, counted(takes.length, "take"))
  const facts = [statusMark(run.status), h("time", {}, moment(run.created_at)), words(provider, 40), number]
  replace(card, h("article", {}, h("div", {}, picture(run.source_image_url, { loading: "lazy" })), link, h("p", {}, facts)))
  if (hasFocus) link.focus()
  card.run = run
  cards.set(id, card)
  return card
}
