/** A change as JSON. The schema is the format: its order of keys is the order in the output. */
import * as z from 'zod';
import { blockerCodes, orderedPlan, planSchema, positionSchema, sourceSchema } from '../plan/plan-json.ts';
import { type Json, layers } from '../vocabulary.ts';
import { type Change, changeVersion } from './model.ts';

const text = z.string();
const count = z.int().min(0);
const json: z.ZodType<Json> = z.json();
const network = z.strictObject({ namespace: text, name: text });
const target = z.strictObject({ kind: z.enum(['VirtualMachine', 'Pod']), namespace: text, name: text });
const fields = z.array(z.strictObject({ field: text, from: json, to: json }));
const cause = z.enum(['change', 'before', 'both']);
const attachment = text.exactOptional();
const code = z.enum(blockerCodes);

const declared = z.strictObject({
  objects: z.array(
    z.strictObject({
      target,
      change: z.enum(['added', 'removed', 'changed']),
      position: positionSchema.exactOptional(),
      attachments: z.array(
        z.strictObject({
          name: text,
          change: z.enum(['plugged', 'unplugged', 'changed']),
          network,
          position: positionSchema.exactOptional(),
          fields,
        }),
      ),
      stays: z.array(z.strictObject({ name: text, network })),
      fields,
    }),
  ),
  settings: fields,
  prune: z.boolean(),
  summary: z.strictObject({
    added: count,
    removed: count,
    changed: count,
    plugged: count,
    unplugged: count,
    altered: count,
  }),
});

const cluster = z.strictObject({
  plan: planSchema,
  causes: z.array(
    z.strictObject({
      target,
      actions: z.array(z.strictObject({ id: text, cause, attachments: z.array(text).exactOptional() })),
      blockers: z.array(z.strictObject({ code, attachment, cause })),
      differences: z.array(z.strictObject({ attachment: text, layer: z.enum(layers), field: text, cause })),
      notes: z.array(z.strictObject({ code: text, attachment, cause })),
    }),
  ),
  noLonger: z.array(
    z.strictObject({
      target,
      actions: z.array(z.strictObject({ kind: text, attachment })),
      blockers: z.array(z.strictObject({ code, attachment, message: text })),
    }),
  ),
  summary: z.strictObject({
    changed: count,
    blocked: count,
    plugs: count,
    unplugs: count,
    others: count,
    before: count,
    noLonger: count,
  }),
});

/** docs/reference/change-json.md explains each key. */
const changeSchema = z.strictObject({
  version: z.literal(changeVersion),
  source: sourceSchema,
  base: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('rendered'), source: sourceSchema }),
    z.strictObject({
      kind: z.literal('unrendered'),
      ref: text,
      faults: z.array(z.strictObject({ code: text, message: text, position: positionSchema.exactOptional() })),
    }),
  ]),
  declared,
  cluster: cluster.exactOptional(),
});

/** Two spaces of indent, keys in the order of the format, a newline at the end. */
export function changeToJson(value: Change): string {
  const ordered = changeSchema.parse(value);
  if (ordered.cluster !== undefined && value.cluster !== undefined) {
    ordered.cluster.plan = orderedPlan(value.cluster.plan);
  }
  return `${JSON.stringify(ordered, null, 2)}\n`;
}
