/** The annotation by which a person keeps NICs from being taken away. */
/** What the annotation `patchpanel.dev/protect` asks for. */
export type Protection =
  | { readonly kind: 'all' }
  | { readonly kind: 'some'; readonly names: readonly string[] }
  /** It can't be read, so nothing is taken away. */
  | { readonly kind: 'malformed'; readonly text: string };

/** What KubeVirt and Multus take for a name of a NIC. */
const nicName = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const shownLength = 80;

/** Undefined where nothing is protected. Whoever wrote something unclear wanted something kept. */
export function readProtection(annotation: string | undefined): Protection | undefined {
  if (annotation === undefined || annotation.trim() === 'false') return undefined;
  if (annotation.trim() === 'true') return { kind: 'all' };
  const names = annotation.split(',').map((name) => name.trim());
  if (names.every((name) => nicName.test(name))) return { kind: 'some', names: [...new Set(names)].sort() };
  return { kind: 'malformed', text: annotation.slice(0, shownLength) };
}
