/** What things are called, and numbers, times and plans in plain words. Pure. */

/**
 * Every setting that has a control: its path, its name, and what it can be. `kind`: switch | choice | range | number.
 * The ranges and defaults are those that the server checks.
 */
export const SETTINGS = [
  switched("accessibility.reducedMotion", "Reduced motion", "Nothing moves that need not.", false),
  switched("accessibility.highContrastFocus", "High-contrast focus", "A broad ring around what the keyboard is at.", true),
  switched("accessibility.announceStatusChanges", "Announce status changes", "Screen readers hear of saves and changes.", true),
  switched("preferences.autoFavoriteWinner", "Favourite the winner", "The best take of a new run is starred by itself.", false),
  switched("preferences.autoOpenCompare", "Open takes side by side", "A run opens with its takes compared.", true),
  chosen("preferences.defaultPreset", "Default preset", ["cinematic-balanced", "coherence-first", "speed-first"], {
    "cinematic-balanced": "Cinematic balanced",
    "coherence-first": "Coherence first",
    "speed-first": "Speed first",
  }),
  chosen("preferences.defaultAspectRatio", "Default aspect ratio", ["16:9", "9:16", "1:1", "4:5"]),
  ranged("preferences.defaultDuration", "Default duration", 2, 20, 1, 6, (value) => `${value} s`),
  ranged("preferences.defaultVariants", "Takes per run", 2, 5, 1, 3),
  switched("behavior.autoSave", "Save changes by themselves", "Otherwise they wait for “Save now”.", true),
  ranged("behavior.autoSaveDelayMs", "Pause before saving", 250, 5000, 50, 700, (value) => `${value} ms`),
  chosen("behavior.renderQuality", "Render quality", ["balanced", "high", "fast"], {
    balanced: "Balanced",
    high: "High",
    fast: "Fast",
  }),
  ranged("behavior.parallelPreviews", "Previews at a time", 1, 4, 1, 2),
  switched("behavior.confirmBeforeClear", "Ask before clearing", "“Clear all runs” asks once more.", true),
  chosen("theme.accent", "Accent", ["amber", "teal", "crimson"], { amber: "Amber", teal: "Teal", crimson: "Crimson" }),
  ranged("theme.grain", "Grain", 0, 1, 0.05, 0.35, (value) => `${Math.round(value * 100)} %`),
  ranged("theme.contrast", "Contrast", 0.9, 1.2, 0.05, 1, (value) => `${Math.round(value * 100)} %`),
  chosen("theme.density", "Density", ["comfortable", "compact"], { comfortable: "Comfortable", compact: "Compact" }),
  switched("developer.showRawPayload", "Show raw payload", "A run’s detail shows the JSON as it was written.", false),
  switched("developer.enableDebugOverlay", "Debug overlay", "Session, versions and the live connection in a corner.", false),
  switched("developer.enableKeyboardTimeline", "Keyboard timeline", "Arrow keys go from run to run.", true),
  switched("developer.gestureNavigation", "Gesture navigation", "A swipe goes from run to run.", true),
]

const SECTIONS = {
  accessibility: "Accessibility",
  preferences: "User Preferences",
  behavior: "Behavior & Performance",
  theme: "Visual Theme",
  developer: "Developer Options",
}

export const STATUSES = {
  success: "Success",
  failed: "Failed",
  not_executed: "Not executed",
  not_configured: "Not configured",
}

/** The stages of a restore (see design: they are the words of the log, the console and the tests). */
export const STAGES = {
  staging: "Reading and staging",
  committing: "Putting it in place",
  done: "Done",
  aborting: "Taking it back",
  aborted: "Taken back: nothing was changed",
  failed: "Failed: a service lost what it had staged",
}

function switched(name, label, hint, otherwise) {
  return { path: name.split("."), kind: "switch", label, hint, otherwise }
}

function chosen(name, label, options, names = {}) {
  return { path: name.split("."), kind: "choice", label, options, names, otherwise: options[0] }
}

function ranged(name, label, least, most, step, otherwise, shown = String) {
  return { path: name.split("."), kind: "range", label, least, most, step, otherwise, shown }
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
  if (setting?.kind === "choice") return setting.names[value] ?? String(value)
  if (setting?.kind === "range" && typeof value === "number") return setting.shown(value)
  return typeof value === "string" ? value : JSON.stringify(value)
}

export function statusName(status) {
  return STATUSES[status] ?? (status ? String(status) : "Unknown")
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

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" })
const MINUTE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" })
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" })

function dateOf(text) {
  const date = new Date(typeof text === "string" ? text : NaN)
  return Number.isNaN(date.getTime()) ? null : date
}

export function moment(text) {
  const date = dateOf(text)
  return date ? MINUTE.format(date) : "at an unknown time"
}

export function day(text) {
  const date = dateOf(text)
  return date ? DAY.format(date) : "Undated"
}

/** “3 minutes ago”, as of now. */
export function ago(text, now = Date.now()) {
  const date = dateOf(text)
  if (!date) return "at an unknown time"
  const seconds = (date.getTime() - now) / 1000
  const [unit, length] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1]
  return AGO.format(Math.round(seconds / length), unit)
}
