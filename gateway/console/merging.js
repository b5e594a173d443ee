/** Settings as values: merge patches (RFC 7396), what differs, and where two have changed the same. Pure. */

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** `target` with `patch` applied; neither is changed. */
export function merged(target, patch) {
  if (!isObject(patch)) return patch
  const result = new Map(Object.entries(isObject(target) ? target : {}))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key)
    else result.set(key, merged(result.get(key), value))
  }
  return Object.fromEntries(result)
}

/** Two patches as one: the second was made after the first. Unlike `merged`, a null stays one. */
export function combined(first, second) {
  if (!isObject(first) || !isObject(second)) return second
  const result = { ...first }
  for (const [key, value] of Object.entries(second)) result[key] = key in first ? combined(first[key], value) : value
  return result
}

export function valueAt(settings, path) {
  return path.reduce((value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined), settings)
}

export function patchOf(path, value) {
  return path.reduceRight((inner, key) => ({ [key]: inner }), value)
}

/** Each place that a patch sets: `[path, value]`; null where it removes something. */
export function places(patch, path = []) {
  if (!isObject(patch) || Object.keys(patch).length === 0) return path.length ? [[path, patch]] : []
  return Object.entries(patch).flatMap(([key, value]) => places(value, [...path, key]))
}

export function same(one, other) {
  if (isObject(one) && isObject(other)) {
    const keys = new Set([...Object.keys(one), ...Object.keys(other)])
    return [...keys].every((key) => same(one[key], other[key]))
  }
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each, index) => same(each, other[index]))
  }
  return one === other
}

/** Where a patch made against `base` meets what was changed since: as the server tells it, `{path, base, theirs, yours}`. */
export function conflicts(patch, base, current) {
  return places(patch).flatMap(([path, yours]) => {
    const before = valueAt(base, path) ?? null
    const theirs = valueAt(current, path) ?? null
    return same(before, theirs) || same(theirs, yours) ? [] : [{ path: pointer(path), base: before, theirs, yours }]
  })
}

/** RFC 6901. */
export function pointer(path) {
  return path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")
}

export function pathOf(text) {
  return text.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))
}
