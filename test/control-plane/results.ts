/** A reporter of node's test runner: one JSON line for each test that ended, for the table of scenarios. */

export interface ScenarioResult {
  /** Suites that it is in, then its own title. */
  readonly title: string;
  readonly file: string;
  readonly passed: boolean;
  /** Why it was not run. */
  readonly skipped?: string;
}

interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name: string;
    readonly nesting: number;
    readonly file?: string;
    readonly skip?: boolean | string;
    readonly details?: { readonly type?: string };
  };
}

// biome-ignore lint/style/noDefaultExport: what --test-reporter asks of a file
export default async function* results(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path = new Map<string, string[]>();
  for await (const { type, data } of source) {
    const { name, nesting, file = '', skip, details } = data;
    const names = path.get(file) ?? [];
    path.set(file, names);
    if (type === 'test:start') {
      names.length = nesting;
      names.push(name);
    }
    if ((type !== 'test:pass' && type !== 'test:fail') || details?.type === 'suite') continue;
    const result: ScenarioResult = {
      title: [...names.slice(0, nesting), name].join(' > '),
      file,
      passed: type === 'test:pass',
      ...(skip !== undefined && skip !== false && { skipped: String(skip) }),
    };
    yield `${JSON.stringify(result)}\n`;
  }
}
