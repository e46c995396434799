/** Label selectors and field selectors, with the messages of kube-apiserver for those that it can't read. */
import type { ResourceDefinition } from './contract.ts';
import { at, child, type JsonObject, own, text } from './json.ts';
import { badRequest } from './status.ts';

export type Predicate = (object: JsonObject) => boolean;

const labelName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

type LabelTest = (value: string | undefined) => boolean;

/** Undefined for an empty selector, which selects all. Throws 400. */
export function parseLabelSelector(selector: string): Predicate | undefined {
  const requirements = new LabelParser(selector).parse();
  if (requirements.length === 0) return undefined;
  return (object) => {
    const labels = child(child(object, 'metadata'), 'labels') ?? {};
    return requirements.every(({ key, test }) => test(text(own(labels, key))));
  };
}

interface Requirement {
  readonly key: string;
  readonly test: LabelTest;
}

const operators = 'in, notin, =, ==, !=, gt, lt';

class LabelParser {
  readonly #tokens: readonly string[];
  #position = 0;

  constructor(selector: string) {
    this.#tokens = selector.match(/==|!=|[=!<>(),]|[^\s=!<>(),]+/g) ?? [];
  }

  parse(): readonly Requirement[] {
    const requirements: Requirement[] = [];
    if (this.#tokens.length === 0) return requirements;
    for (;;) {
      requirements.push(this.#requirement());
      const token = this.#next();
      if (token === undefined) return requirements;
      if (token !== ',') throw badRequest(`found '${token}', expected: ',' or 'end of string'`);
    }
  }

  #peek(): string | undefined {
    return this.#tokens[this.#position];
  }

  #next(): string | undefined {
    return this.#tokens[this.#position++];
  }

  #requirement(): Requirement {
    const negated = this.#peek() === '!';
    if (negated) this.#position++;
    const key = this.#next() ?? '';
    checkKey(key);
    if (negated) return { key, test: (value) => value === undefined };
    const next = this.#peek();
    if (next === undefined || next === ',') return { key, test: (value) => value !== undefined };
    return { key, test: this.#comparison() };
  }

  #comparison(): LabelTest {
    const operator = this.#next() ?? '';
    switch (operator) {
      case '=':
      case '==': {
        const wanted = this.#value();
        return (value) => value === wanted;
      }
      case '!=': {
        const unwanted = this.#value();
        return (value) => value !== unwanted;
      }
      case '>':
      case '<': {
        const bound = Number(this.#value());
        return (value) => value !== undefined && (operator === '>' ? Number(value) > bound : Number(value) < bound);
      }
      case 'in': {
        const wanted = this.#values();
        return (value) => value !== undefined && wanted.has(value);
      }
      case 'notin': {
        const unwanted = this.#values();
        return (value) => value === undefined || !unwanted.has(value);
      }
      default:
        throw badRequest(`unable to parse requirement: found '${operator}', expected: ${operators}`);
    }
  }

  #value(): string {
    const next = this.#peek();
    if (next === undefined || next === ',') return '';
    this.#position++;
    return next;
  }

  #values(): ReadonlySet<string> {
    const values = new Set<string>();
    if (this.#next() !== '(')
      throw badRequest(`unable to parse requirement: found '${this.#tokens[this.#position - 1] ?? ''}', expected: '('`);
    for (;;) {
      const token = this.#next();
      if (token === undefined)
        throw badRequest("unable to parse requirement: found '', expected: ',', ')' or identifier");
      if (token === ')') return values;
      if (token !== ',') values.add(token);
    }
  }
}

function checkKey(key: string): void {
  const parts = key.split('/');
  const name = parts.at(-1) ?? '';
  const prefix = parts.length === 2 ? parts[0] : undefined;
  if (parts.length <= 2 && labelName.test(name) && (prefix === undefined || subdomain.test(prefix))) return;
  throw badRequest(
    `unable to parse requirement: <nil>: Invalid value: ${JSON.stringify(key)}: a valid label key must consist of ` +
      `alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  ` +
      `or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an ` +
      `optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
  );
}

export interface FieldSelector {
  readonly matches: Predicate;
  /** The one name that can match: authorization and the fast path look at it. */
  readonly name?: string;
}

interface FieldTerm {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

/** Undefined for an empty selector. Throws 400. */
export function parseFieldSelector(selector: string, resource: ResourceDefinition): FieldSelector | undefined {
  const terms = fieldTerms(selector);
  if (terms.length === 0) return undefined;
  const supported = new Set(['metadata.name', 'metadata.namespace', ...(resource.selectableFields ?? [])]);
  for (const { field } of terms) {
    if (!supported.has(field)) throw badRequest(unsupported(field, resource));
  }
  const name = terms.find((term) => term.field === 'metadata.name' && term.equal)?.value;
  return {
    matches: (object) => terms.every(({ field, equal, value }) => (fieldValue(object, field) === value) === equal),
    ...(name === undefined ? {} : { name }),
  };
}

/** The name a selector pins down, without checking the rest: authorization comes before that. */
export function nameSelected(selector: string): string | undefined {
  return /(?:^|,)metadata\.name={1,2}([^,=]+)(?:,|$)/.exec(selector)?.[1];
}

function fieldTerms(selector: string): readonly FieldTerm[] {
  return selector
    .split(/(?<!\\),/)
    .filter((term) => term.trim() !== '')
    .map((term) => {
      const parts = /^(.*?)(!=|==|=)(.*)$/.exec(term);
      if (parts === null) throw badRequest(`invalid selector: '${selector}'; can't understand '${term}'`);
      const [, field = '', operator = '', value = ''] = parts;
      return { field, equal: operator !== '!=', value: value.replaceAll(/\\([,=\\])/g, '$1') };
    });
}

function unsupported(field: string, resource: ResourceDefinition): string {
  return resource.custom || resource.selectableFields !== undefined
    ? `field label not supported: ${field}`
    : `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
}

function fieldValue(object: JsonObject, field: string): string {
  // Only of Events: the component of their source, or who else reported them.
  if (field === 'source') return fieldValue(object, 'source.component') || fieldValue(object, 'reportingComponent');
  const value = at(object, ...field.split('.'));
  return value === undefined || value === null ? '' : String(value);
}
