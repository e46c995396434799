/** Plans, changes and faults as JUnit XML, which CI systems show beside a merge request: a test case a target. */
import type { Change } from '../change/model.ts';
import { splitPlan } from '../change/split.ts';
import type { PatchpanelError, PatchpanelErrors, Position } from '../errors.ts';
import type { Plan, TargetPlan } from '../plan/model.ts';
import { buildXml, content, parent, type XmlNode } from '../systems/xml-build.ts';
import { objectLines } from './change-words.ts';
import { faultFindings } from './findings.ts';
import { targetTitle } from './plan-sections.ts';
import { printable } from './style.ts';
import { describeAction, sign } from './words.ts';

interface Case {
  readonly name: string;
  readonly suite: string;
  readonly position?: Position | undefined;
  /** Why it failed. */
  readonly failures: readonly { readonly type: string; readonly message: string; readonly remedy: string }[];
  /** Why it was left out. */
  readonly skipped?: string;
  readonly lines: readonly string[];
}

/** A case for each target that is listed: failed where it is blocked. */
export function planJunit(plan: Pick<Plan, 'targets'>): string {
  return junit('patchpanel plan', plan.targets.map(targetCase));
}

/** Failed is what the change causes; what was blocked before is skipped. */
export function changeJunit({ cluster, declared }: Change): string {
  if (cluster === undefined) {
    const cases = declared.objects.map((object): Case => {
      const lines = objectLines(object, declared.prune).map(({ sign: mark, words }) => `${mark} ${words}`);
      const { position } = object;
      const title = targetTitle(object.target);
      return {
        name: title,
        suite: object.target.namespace,
        ...(position === undefined ? {} : { position }),
        failures: [],
        lines,
      };
    });
    return junit('patchpanel plan', cases);
  }
  const { ofChange, before } = splitPlan(cluster);
  const titles = new Set(ofChange.map(({ target }) => targetTitle(target)));
  const left = before
    .filter(({ target, blockers }) => blockers.length > 0 && !titles.has(targetTitle(target)))
    .map((target): Case => {
      const messages = target.blockers.map(({ code, message }) => `${message} (${code})`);
      return { ...targetCase(target), failures: [], skipped: `blocked before this change: ${messages.join('; ')}` };
    });
  return junit('patchpanel plan', [...ofChange.map(targetCase), ...left]);
}

/** A failed case for each fault of the input. */
export function faultJunit(error: PatchpanelError | PatchpanelErrors): string {
  const cases = faultFindings(error).map(({ rule, message, remedy = '', position }): Case => {
    const place = position === undefined ? '' : `${position.file}:${position.line}:${position.column} `;
    return {
      name: `${place}${rule}`,
      suite: 'input',
      ...(position === undefined ? {} : { position }),
      failures: [{ type: rule, message, remedy }],
      lines: [],
    };
  });
  return junit('patchpanel validate', cases);
}

/** A passed case for each object of a valid input. */
export function validJunit(
  objects: readonly { readonly title: string; readonly namespace: string; readonly position: Position }[],
): string {
  const cases = objects.map(({ title, namespace, position }): Case => {
    return { name: title, suite: namespace, position, failures: [], lines: [] };
  });
  return junit('patchpanel validate', cases);
}

function targetCase(target: TargetPlan): Case {
  return {
    name: targetTitle(target.target),
    suite: target.target.namespace,
    position: target.blockers.find(({ position }) => position !== undefined)?.position ?? target.position,
    failures: target.blockers.map(({ code, attachment, message, remedy }) => ({
      type: code,
      message: attachment === undefined ? message : `${attachment}: ${message}`,
      remedy,
    })),
    lines: [
      ...target.actions.map((action) => `${sign(action)} ${describeAction(action, target.target)}`),
      ...target.notes.map(({ message }) => `note: ${message}`),
    ],
  };
}

function junit(name: string, cases: readonly Case[]): string {
  const failed = cases.filter(({ failures }) => failures.length > 0).length;
  const skipped = cases.filter((each) => each.skipped !== undefined).length;
  const counts = { name, tests: cases.length, failures: failed, errors: 0, skipped };
  const suite = parent('testsuite', cases.map(caseNode), counts);
  return `<?xml version='1.0' encoding='UTF-8'?>\n${buildXml(parent('testsuites', [suite], counts))}`;
}

function caseNode({ name, suite, position, failures, skipped, lines }: Case): XmlNode {
  const place = position === undefined ? {} : { file: xmlText(position.file), line: position.line };
  return parent(
    'testcase',
    [
      ...failures.map(({ type, message, remedy }) =>
        content('failure', xmlText(`${message}\n${remedy}`), { type, message: xmlText(message) }),
      ),
      skipped === undefined ? undefined : { name: 'skipped', attributes: { message: xmlText(skipped) } },
      lines.length === 0 ? undefined : content('system-out', xmlText(lines.join('\n'))),
    ],
    { name: xmlText(name), classname: xmlText(suite), ...place },
  );
}

/** XML has no place for most control characters, nor for half a character. */
function xmlText(text: string): string {
  return text
    .split('\n')
    .map((line) =>
      printable(line)
        .toWellFormed()
        .replace(/[\ufffe\uffff]/g, '\ufffd'),
    )
    .join('\n');
}
