/** How an answer is to be written: JSON or YAML, whole objects, metadata only, or a Table for kubectl. */
import { stringify } from 'yaml';
import { ApiError } from './status.ts';

export interface Representation {
  readonly format: 'json' | 'yaml';
  readonly as?: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  /** Version of meta.k8s.io for `as`. */
  readonly metaVersion: string;
}

const wholeJson: Representation = { format: 'json', metaVersion: 'v1' };
const accepted = 'application/json, application/yaml, application/vnd.kubernetes.protobuf';

/** The first form in an Accept header that the server can give; protobuf it can't. Throws 406. */
export function negotiate(accept: string | undefined, custom: boolean): Representation {
  if (accept === undefined || accept === '') return wholeJson;
  for (const range of accept.split(',')) {
    const found = representation(range);
    if (found !== undefined) return found;
  }
  throw notAcceptable(custom);
}

function notAcceptable(custom: boolean): ApiError {
  const message = custom
    ? `only the following media types are accepted: ${accepted}`
    : `406: Not Acceptable\n\nAvailable representations: ${accepted}`;
  return new ApiError(406, 'NotAcceptable', message, custom ? {} : { details: {} });
}

function representation(range: string): Representation | undefined {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
  const values = new Map(parameters.map((parameter) => parameter.split('=', 2) as [string, string]));
  if (type === 'application/yaml') return { format: 'yaml', metaVersion: 'v1' };
  if (type === '*/*' || type === 'application/*') return wholeJson;
  if (type !== 'application/json') return undefined;
  const as = values.get('as');
  if (as === undefined) return wholeJson;
  const metaVersion = values.get('v') ?? '';
  if (values.get('g') !== 'meta.k8s.io' || (metaVersion !== 'v1' && metaVersion !== 'v1beta1')) return undefined;
  if (as === 'Table' || as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') {
    return { format: 'json', as, metaVersion };
  }
  return undefined;
}

/** kube-apiserver indents for people: on `pretty=true`, and by default for curl and browsers. */
export function isPretty(query: URLSearchParams, userAgent: string | undefined): boolean {
  const pretty = query.get('pretty');
  if (pretty !== null) return pretty !== 'false' && pretty !== '0';
  return /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent ?? '');
}

/** Body and content type for a JSON text. */
export function render(json: string, format: 'json' | 'yaml', pretty: boolean): readonly [string, string] {
  if (format === 'yaml') return [stringify(JSON.parse(json), { sortMapEntries: true }), 'application/yaml'];
  if (pretty) return [JSON.stringify(JSON.parse(json), undefined, 2), 'application/json'];
  return [`${json}\n`, 'application/json'];
}
