/** MicroTime, which Go reads only with six decimals. */
import { isObject, type JsonObject } from './json.ts';

const microTime = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{6})?(.*)$/;

/** Leases hold times with six decimals; other spellings are refused, `Date.toISOString()` among them. */
export function microTimeError(plural: string, object: JsonObject): string | undefined {
  const fields =
    plural === 'leases'
      ? [object.spec].flatMap((spec) => (isObject(spec) ? [spec.acquireTime, spec.renewTime] : []))
      : plural === 'events'
        ? [object.eventTime]
        : [];
  for (const value of fields) {
    if (typeof value !== 'string') continue;
    const [, date, decimals, rest = ''] = microTime.exec(value) ?? [];
    if (decimals !== undefined && /^(Z|[+-]\d\d:\d\d)$/.test(rest)) continue;
    const [seen, wanted] = date === undefined ? [value, '2006'] : [rest, '.000000'];
    return `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05.000000Z07:00": cannot parse ${JSON.stringify(seen)} as ${JSON.stringify(wanted)}`;
  }
  return undefined;
}
