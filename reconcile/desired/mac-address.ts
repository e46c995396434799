/** MAC addresses as people write them. */

/** `aa:bb:cc:dd:ee:ff`, `aa-bb-cc-dd-ee-ff` or `aabb.ccdd.eeff`, any case. */
export const macPattern =
  /^(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2})$/;

/** Lower case with colons; the input must match {@link macPattern}. */
export function normalizeMac(mac: string): string {
  const digits = mac.toLowerCase().replaceAll(/[^0-9a-f]/g, '');
  return (digits.match(/../g) ?? []).join(':');
}

/** Why an address that is well formed can not be that of a NIC; KubeVirt admits all of these and breaks later. */
export function macFault(mac: string): string | undefined {
  const normal = normalizeMac(mac);
  if (normal === 'ff:ff:ff:ff:ff:ff') return 'is the broadcast address';
  if (normal === '00:00:00:00:00:00') return 'is the zero address';
  if (normal === '02:00:00:00:00:00') return "is reserved for KubeVirt's bridge in the pod";
  if ((Number.parseInt(normal.slice(0, 2), 16) & 1) === 1) return 'is a multicast address';
  return undefined;
}
