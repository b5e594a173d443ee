/** What things are called, and numbers, times and plans in plain words. Pure. */

/** Every setting that has a control, with the range and the default that the server knows: switch, choice or range. */
export const SETTINGS = [
  switched("accessibility.reducedMotion", false, "Reduced motion", "Nothing moves that need not."),
  switched("accessibility.highContrastFocus", true, "High-contrast focus", "A broad ring around what the keyboard is at."),
  switched("accessibility.announceStatusChanges", true, "Announce status changes", "Screen readers hear of saves and changes."),
  switched("preferences.autoFavoriteWinner", false, "Favourite the winner", "The best take of a new run is starred by itself."),
  switched("preferences.autoOpenCompare", true, "Open takes side by side", "A run opens with its takes compared."),
  chosen("preferences.defaultPreset", "Default preset", "cinematic-balanced coherence-first speed-first"),
  chosen("preferences.defaultAspectRatio", "Default aspect ratio", "16:9 9:16 1:1 4:5"),
  ranged("preferences.defaultDuration", 6, "Default duration", [2, 20, 1], (value) => `${value} s`),
  ranged("preferences.defaultVariants", 3, "Takes per run", [2, 5, 1]),
  switched("behavior.autoSave", true, "Save changes by themselves", "Otherwise they wait for “Save now”."),
  ranged("behavior.autoSaveDelayMs", 700, "Pause before saving", [250, 5000, 50], (value) => `${value} ms`),
  chosen("behavior.renderQuality", "Render quality", "balanced high fast"),
  ranged("behavior.parallelPreviews", 2, "Previews at a time", [1, 4, 1]),
  switched("behavior.confirmBeforeClear", true, "Ask before clearing", "“Clear all runs” asks once more."),
  chosen("theme.accent", "Accent", "amber teal crimson"),
  ranged("theme.grain", 0.35, "Grain", [0, 1, 0.05], percent),
  ranged("theme.contrast", 1, "Contrast", [0.9, 1.2, 0.05], percent),
  chosen("theme.density", "Density", "comfortable compact"),
  switched("developer.showRawPayload", false, "Show raw payload", "A run’s detail shows the JSON as it was written."),
  switched("developer.enableDebugOverlay", false, "Debug overlay", "Session, versions and connection in a corner."),
  switched("developer.enableKeyboardTimeline", true, "Keyboard timeline", "Arrow keys go from run to run."),
  switched("developer.gestureNavigation", true, "Gesture navigation", "A swipe goes from run to run."),
]

const SECTIONS = {
  accessibility: "Accessibility",
  preferences: "User Preferences",
  behavior: "Behavior & Performance",
  theme: "Visual Theme",
  developer: "Developer Options",
}

export const STATUSES = ["success", "failed", "not_executed", "not_configured"]

/** The stages of a restore. */
export const STAGES = {
  staging: "Reading and staging",
  committing: "Putting it in place",
  done: "Done",
  aborting: "Taking it back",
  aborted: "Taken back: nothing was changed",
  failed: "Failed: a service lost what it had staged",
}

function switched(name, otherwise, label, hint) {
  return { path: name.split("."), kind: "switch", label, hint, otherwise }
}

function chosen(name, label, options) {
  return { path: name.split("."), kind: "choice", label, options: options.split(" "), otherwise: options.split(" ")[0] }
}

function ranged(name, otherwise, label, [least, most, step], shown = String) {
  return { path: name.split("."), kind: "range", label, least, most, step, otherwise, shown }
}

function percent(value) {
  return `${Math.round(value * 100)} %`
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

/** A value of a setting as a person reads it. */
export function shownValue(path, value) {
  if (value === null || value === undefined) return "not set"
  if (value === true) return "on"
  if (value === false) return "off"
  const setting = settingAt(path)
  if (setting?.kind === "choice") return named(value)
  if (setting?.kind === "range" && typeof value === "number") return setting.shown(value)
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
  const units = ["B", "kB", "MB", "GB"]
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, number)) / 3)))
  return `${(number / 1000 ** power).toLocaleString("en", { maximumFractionDigits: power ? 1 : 0 })} ${units[power]}`
}

const MINUTE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" })
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" })

function dateOf(text) {
  const date = new Date(typeof text === "string" ? text : NaN)
  return Number.isNaN(date.getTime()) ? null : date
}

export function moment(text) {
  const date = dateOf(text)
  return date ? MINUTE.format(date) : "at an unknown time"
}

/** “3 minutes ago”, as of now. */
export function ago(text, now = Date.now()) {
  const date = dateOf(text)
  if (!date) return "at an unknown time"
  const seconds = (date.getTime() - now) / 1000
  const [unit, length] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1]
  return AGO.format(Math.round(seconds / length), unit)
}
