/** What things are called, and numbers, times and values in plain words. Pure. */

import CONTROLS from "./settings.json" with { type: "json" }

/** Every setting that has a control: switch, choice or range, with the range and the default that the server knows. */
export const SETTINGS = CONTROLS.map((each) => ({ ...each, path: each.path.split(".") }))

const SECTIONS = {
	accessibility: "Accessibility",
	preferences: "User Preferences",
	behavior: "Behavior & Performance",
	theme: "Visual Theme",
	developer: "Developer Options",
}

/** The stages of a restore. */
export const STAGES = {
	staging: "Reading and staging",
	committing: "Putting it in place",
	done: "Done",
	aborting: "Taking it back",
	aborted: "Taken back: nothing was changed",
	failed: "Failed: a service lost what it had staged",
}

/** `coherence-first` as “Coherence first”: ids that the server defines. */
export function named(id) {
	const words = String(id).replaceAll(/[-_]/g, " ")
	return words.charAt(0).toUpperCase() + words.slice(1)
}

export function settingAt(path) {
	return SETTINGS.find((setting) => setting.path.join(".") === path.join("."))
}

/** “Visual Theme › Grain”, or the bare path of a setting that has no control. */
export function nameOf(path) {
	const [section, ...rest] = path
	const inner = settingAt(path)?.label ?? rest.join(" › ")
	return [SECTIONS[section] ?? section, inner].filter(Boolean).join(" › ")
}

export function inUnits(value, unit) {
	return unit === "%" ? `${Math.round(value * 100)} %` : `${value} ${unit}`.trim()
}

/** A value of a setting as a person reads it. */
export function shownValue(path, value) {
	if (value === null || value === undefined) return "not set"
	if (typeof value === "boolean") return value ? "on" : "off"
	const { kind, unit } = settingAt(path) ?? {}
	if (kind === "choice") return named(value)
	if (kind === "range" && typeof value === "number") return inUnits(value, unit)
	return typeof value === "string" ? value : JSON.stringify(value)
}

export function statusName(status) {
	return typeof status === "string" && status ? named(status) : "Unknown"
}

export function counted(number, one, many = `${one}s`) {
	return `${number.toLocaleString("en")} ${number === 1 ? one : many}`
}

/** 1 kB is 1000 bytes (IEC 80000-13). */
export function bytes(number) {
	const power = Math.min(3, Math.floor(Math.log10(Math.max(1, number)) / 3))
	const shown = (number / 1000 ** power).toLocaleString("en", { maximumFractionDigits: power && 1 })
	return `${shown} ${["B", "kB", "MB", "GB"][power]}`
}

const MINUTE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" })
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" })

export function moment(text) {
	const time = Date.parse(text)
	return Number.isNaN(time) ? "at an unknown time" : MINUTE.format(time)
}

/** “3 minutes ago”. */
export function ago(text) {
	const seconds = (Date.parse(text) - Date.now()) / 1000
	if (Number.isNaN(seconds)) return "at an unknown time"
	const units = [["day", 86400], ["hour", 3600], ["minute", 60]]
	const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1]
	return AGO.format(Math.round(seconds / length), unit)
}
