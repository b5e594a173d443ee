/**
 * The settings as this device shows them: what the server has, the edit on its way, and what was changed since. An edit
 * is sent after a pause, as a patch against the version it was made against, and given up by nobody but its maker.
 */

import { api } from "./api.js"
import { tell } from "./dom.js"
import { combined, isObject, merged, patchOf, pathOf, same, touches, valueAt } from "./merging.js"
import { onRemembered, remember, remembered } from "./storage.js"
import { settingAt } from "./words.js"

const PATH = "/api/settings"
const AUTO_SAVE = "behavior.autoSave"

/** Dispatches "change" whenever anything of it may be another. */
export class SettingsStore extends EventTarget {
	#timer = null
	#draft = null // {patch, base}
	#loading = null
	#heard = 0 // the latest version that was told of

	constructor(session, outbox) {
		super()
		this.session = session
		this.outbox = outbox
		this.saved = null // as the server told it: {settings, version, updated_at}
		this.conflict = null // {conflicts, current}: what the person has to choose
		this.problem = null // why the server would not take the last edit
		onRemembered("draft.", (draft, name) => name === this.#draftName && this.#share(draft))
		outbox.addEventListener("change", () => tell(this))
		outbox.addEventListener("answered", ({ detail }) => isOurs(detail.entry) && this.#accept(detail))
		outbox.addEventListener("refused", ({ detail }) => isOurs(detail.entry) && this.#refuse(detail))
	}

	/** Loads, and takes up what was changed here and not sent. Throws Problem. */
	async begin() {
		this.#take(remembered(this.#draftName))
		await this.load()
		this.#schedule()
	}

	/** Throws Problem. */
	async load() {
		this.#loading ??= api.get(PATH).finally(() => (this.#loading = null))
		this.#know(await this.#loading)
	}

	/** Reads again where another device has made a later version. Throws Problem. */
	async follow(version = 0) {
		this.#heard = Math.max(this.#heard, version)
		const isAnswerNear = this.outbox.state === "sending" && this.#sent.length > 0
		if (this.#heard > (this.saved?.version ?? 0) && !isAnswerNear) await this.load()
	}

	get current() {
		const patches = [...this.#sent.map((entry) => JSON.parse(entry.body)), this.#draft?.patch ?? {}]
		return patches.reduce(merged, this.saved?.settings ?? {})
	}

	/** What is set at `theme.grain`, say, or else its default. */
	value(name) {
		const path = name.split(".")
		return valueAt(this.current, path) ?? settingAt(path)?.otherwise
	}

	/** How the edits stand: saved | unsaved | saving | offline | ended | conflict | refused. */
	get state() {
		const { state } = this.outbox
		if (this.conflict) return "conflict"
		if (this.unsent && (state === "ended" || state === "waiting")) return state === "ended" ? "ended" : "offline"
		if (this.#sent.length) return "saving"
		if (this.#draft) return "unsaved"
		return this.problem ? "refused" : "saved"
	}

	get savesItself() {
		return this.value(AUTO_SAVE)
	}

	get unsent() {
		return this.outbox.entries.length + (this.#draft ? 1 : 0)
	}

	/** `path` is a list of keys. */
	edit(path, value) {
		if (same(valueAt(this.current, path), value)) return
		this.problem = null
		this.#keep({
			patch: combined(this.#draft?.patch ?? {}, patchOf(path, value)),
			base: this.#draft?.base ?? this.saved?.version,
		})
		this.#schedule()
	}

	save() {
		if (!this.conflict && !this.#sent.length) this.leave()
	}

	/** Hands what was changed to the outbox, whatever waits there. */
	leave() {
		clearTimeout(this.#timer)
		if (!this.#draft) return
		const { patch, base } = this.#draft
		this.#keep(null)
		this.outbox.add({ method: "PATCH", path: base ? `${PATH}?base=${base}` : PATH, body: patch, topic: "settings" })
	}

	/** `mine` are the paths of the conflict at which the value here wins. */
	resolve(mine) {
		const { conflicts, current } = this.conflict
		const theirs = conflicts.filter(({ path }) => !mine.has(path))
		const patch = theirs.reduce((left, { path }) => without(left, pathOf(path)), this.#draft.patch)
		this.conflict = null
		this.#know(current)
		this.#keep(Object.keys(patch).length ? { patch, base: current.version } : null)
		this.save()
	}

	/** Throws Problem. */
	async restore(version, key) {
		this.#know(await api.ask("POST", `${PATH}/history/${version}/restore`, { key }))
	}

	/** Nobody wants it any more. */
	discard() {
		clearTimeout(this.#timer)
		this.#keep(null)
	}

	get #draftName() {
		return `draft.${this.session.owner}`
	}

	get #sent() {
		return this.outbox.entries.filter(isOurs)
	}

	/** What is being changed is the same in all tabs. */
	#share(draft) {
		this.#take(draft)
		tell(this)
	}

	#take(draft) {
		this.#draft = isObject(draft?.patch) ? draft : null
		if (!this.#draft) this.conflict = null
	}

	#keep(draft) {
		this.#draft = draft
		remember(this.#draftName, draft)
		tell(this)
	}

	/** That edits shall no longer save themselves is saved all the same. */
	#schedule() {
		clearTimeout(this.#timer)
		if (!this.#draft || !(this.savesItself || this.#draft.patch.behavior?.autoSave === false)) return
		this.#timer = setTimeout(() => this.save(), this.value("behavior.autoSaveDelayMs"))
	}

	/** What was changed meanwhile was made against this edit, unless others have changed the same. */
	#accept({ entry, value }) {
		const expected = merged(this.saved?.settings, JSON.parse(entry.body))
		if (this.#draft && !touches(this.#draft.patch, expected, value.settings)) {
			this.#keep({ ...this.#draft, base: value.version })
		}
		this.#know(value)
		this.#schedule()
		void this.follow().catch(() => {}) // told again once the connection is back
	}

	/** An edit in conflict waits once more, for the person this time. */
	#refuse({ entry, problem }) {
		const { conflicts, current } = problem.value
		if (problem.status === 409 && conflicts) {
			const base = Number(new URLSearchParams(entry.path.split("?")[1]).get("base"))
			this.conflict = { conflicts, current }
			this.#keep({ patch: combined(JSON.parse(entry.body), this.#draft?.patch ?? {}), base })
		} else {
			this.problem = problem
			tell(this)
		}
	}

	#know(profile) {
		if (!this.saved || profile.version >= this.saved.version) this.saved = profile
		tell(this)
	}
}

function isOurs({ topic }) {
	return topic === "settings"
}

/** `patch` less what it says of one place. */
function without(patch, [key, ...rest]) {
	const { [key]: inner, ...others } = patch
	const left = rest.length && inner ? without(inner, rest) : {}
	return Object.keys(left).length ? { ...others, [key]: left } : others
}
