/**
 * Findings as SARIF 2.1.0 (OASIS), which code hosts show at the lines of a pull request. Of the format only what they
 * read: rules, results with one place each, and fingerprints that stay while lines move.
 */
import { createHash } from 'node:crypto';
import { errorTable } from '../errors.ts';
import { blockerCodes } from '../plan/plan-json.ts';
import type { Finding, FindingLevel } from './findings.ts';

/** GitHub shows 5,000 results of a run, and refuses more than 25,000. */
const mostResults = 5_000;

/** A message is cut here: it is shown in a box beside a line. */
const longestMessage = 2_000;

interface Rule {
  readonly id: string;
  readonly shortDescription: { readonly text: string };
  readonly help: { readonly text: string };
  readonly defaultConfiguration: { readonly level: FindingLevel };
}

const levels: readonly FindingLevel[] = ['error', 'warning', 'note'];

/** One run; ends with a newline. Beyond 5,000 findings the mildest are left out. */
export function sarifText(findings: readonly Finding[], version: string): string {
  // What is no error and in no file, such as an object that is removed, has no line to stand at.
  const placed = findings.filter(({ level, position }) => level === 'error' || position !== undefined);
  const ranked = placed.toSorted((a, b) => levels.indexOf(a.level) - levels.indexOf(b.level));
  const shown = ranked.slice(0, mostResults);
  const rules = rulesOf(shown);
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'patchpanel', version, rules } },
        columnKind: 'utf16CodeUnits',
        originalUriBaseIds: { '%SRCROOT%': { description: { text: 'The root of the repository.' } } },
        results: shown.map((finding) => resultOf(finding, rules)),
      },
    ],
  };
  return `${JSON.stringify(log, undefined, 2)}\n`;
}

function resultOf({ rule, level, message, remedy, position, subject }: Finding, rules: readonly Rule[]): object {
  const text = remedy === undefined ? message : `${message.replace(/\.$/, '')}. ${remedy}`;
  // Code hosts refuse a result without a place.
  const { file, line, column } = position ?? { file: '.', line: 1, column: 1 };
  const uri = file.split('/').map(encodeURIComponent).join('/');
  const print = createHash('sha256').update(JSON.stringify([rule, subject ?? message, file]));
  return {
    ruleId: rule,
    ruleIndex: rules.findIndex(({ id }) => id === rule),
    level,
    message: { text: text.length > longestMessage ? `${text.slice(0, longestMessage - 1).toWellFormed()}…` : text },
    locations: [
      {
        physicalLocation: {
          artifactLocation: {
            uri,
            uriBaseId: '%SRCROOT%',
            // The name as it is, for those that want no URI.
            ...(uri === file ? {} : { description: { text: file } }),
          },
          region: { startLine: Math.max(1, line), startColumn: Math.max(1, column) },
        },
        ...(subject === undefined ? {} : { logicalLocations: [{ fullyQualifiedName: subject, kind: 'resource' }] }),
      },
    ],
    partialFingerprints: { 'patchpanel/v1': print.digest('hex') },
  };
}

/** All blockers there are, and what else was found. */
function rulesOf(findings: readonly Finding[]): readonly Rule[] {
  const blockers = blockerCodes.map((code) =>
    ruleOf(code, 'error', `Blocked: ${code.replaceAll('-', ' ')}.`, `See docs/reference/blockers.md, ${code}.`),
  );
  const known = new Set<string>(blockerCodes);
  const others = [...new Set(findings.map(({ rule }) => rule))].filter((rule) => !known.has(rule)).sort();
  return [...blockers, ...others.map(otherRule)];
}

function otherRule(id: string): Rule {
  if (Object.hasOwn(errorTable, id)) {
    const { when, remedy } = errorTable[id as keyof typeof errorTable];
    return ruleOf(id, 'error', when, remedy);
  }
  if (id === 'change') return ruleOf(id, 'note', 'What an apply of this revision does.', 'Nothing is wrong.');
  if (id === 'due-before') {
    return ruleOf(id, 'note', 'What was due before this change.', 'An apply of the base would do it too.');
  }
  return ruleOf(id, 'note', `To be known: ${id.replace(/^note\//, '').replaceAll('-', ' ')}.`, 'It stops nothing.');
}

function ruleOf(id: string, level: FindingLevel, description: string, help: string): Rule {
  return { id, shortDescription: { text: description }, help: { text: help }, defaultConfiguration: { level } };
}
