/** What an API server answers. It holds metadata to its own types, whoever writes; all else is as its writers like it. */
import { readFileSync } from 'node:fs';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { hasPortField } from '../../reconcile/live/cluster-facts.ts';
import { projectNetwork } from '../../reconcile/live/networks.ts';
import { joinVm, projectPod, projectPodRow, projectVm, projectVmi } from '../../reconcile/live/project.ts';
import { fields, items } from '../../reconcile/systems/json-shape.ts';
import { Refused, type Target } from './target.ts';

interface Recorded {
  readonly vm: KubeObject;
  readonly vmi?: KubeObject;
  readonly pods?: readonly KubeObject[];
  readonly pod?: KubeObject;
}

const settled: Readonly<Record<string, Recorded>> = JSON.parse(
  readFileSync(new URL('../../reconcile/live/fixtures/settled-vms.json', import.meta.url), 'utf8'),
);
const recorded = Object.values(settled);

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function textMap(value: unknown): Record<string, string> | undefined {
  if (value === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(fields(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** An object as an API server would store it, whatever was asked of it. */
function stored(text: string): KubeObject | undefined {
  const { metadata: given, ...rest } = fields(JSON.parse(text));
  const { name, ...metadata } = fields(given);
  if (typeof name !== 'string') return undefined;
  const owners = items(metadata.ownerReferences).map((each) => {
    const { apiVersion, kind, name: owner, uid, controller } = fields(each);
    const named = {
      apiVersion: textOf(apiVersion) ?? '',
      kind: textOf(kind) ?? '',
      name: textOf(owner) ?? '',
      uid: textOf(uid) ?? '',
    };
    return typeof controller === 'boolean' ? { ...named, controller } : named;
  });
  const texts = ['namespace', 'uid', 'resourceVersion', 'creationTimestamp', 'deletionTimestamp', 'generateName'];
  const known = Object.fromEntries(
    texts.flatMap((key) => (typeof metadata[key] === 'string' ? [[key, metadata[key]]] : [])),
  );
  const annotations = textMap(metadata.annotations);
  const labels = textMap(metadata.labels);
  return {
    ...rest,
    metadata: {
      name,
      ...known,
      ...(annotations === undefined ? {} : { annotations }),
      ...(labels === undefined ? {} : { labels }),
      ownerReferences: owners,
      managedFields: items(metadata.managedFields).map((entry) => JSON.parse(JSON.stringify(fields(entry)))),
    },
  };
}

function reader(read: (object: KubeObject) => unknown): Target['run'] {
  return (text) => {
    let object: KubeObject | undefined;
    try {
      object = stored(text);
    } catch (error) {
      if (error instanceof SyntaxError) return new Refused('no JSON');
      throw error;
    }
    return object === undefined ? new Refused('no object') : read(object);
  };
}

const network = {
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: {
    name: 'red-net',
    namespace: 'prod',
    uid: 'u1',
    annotations: { 'k8s.v1.cni.cncf.io/resourceName': 'x/y' },
  },
  spec: { config: '{"cniVersion":"0.3.1","name":"red-net","type":"macvlan","mode":"bridge"}' },
};

const pieces = [
  'spec',
  'status',
  'interfaces',
  'networks',
  'name',
  'multus',
  'networkName',
  'domain',
  'devices',
  'bridge',
  'absent',
  'macAddress',
  'conditions',
];

export const liveTargets: readonly Target[] = [
  {
    name: 'vm-object',
    kind: 'json',
    samples: recorded.map(({ vm }) => JSON.stringify(vm)),
    pieces,
    run: reader((object) => joinVm(projectVm(object), projectVmi(object), [])),
  },
  {
    name: 'vmi-object',
    kind: 'json',
    samples: recorded.flatMap(({ vmi }) => (vmi === undefined ? [] : [JSON.stringify(vmi)])),
    pieces: [...pieces, 'migrationState', 'infoSource'],
    run: reader(projectVmi),
  },
  {
    name: 'pod-object',
    kind: 'json',
    samples: recorded.flatMap(({ pod, pods = [] }) =>
      [...pods, ...(pod === undefined ? [] : [pod])].map((each) => JSON.stringify(each)),
    ),
    pieces: [
      'annotations',
      'containerStatuses',
      'phase',
      'k8s.v1.cni.cncf.io/networks',
      'k8s.v1.cni.cncf.io/network-status',
    ],
    run: reader((object) => [
      projectPod(object) ?? null,
      projectPodRow(object, (column) => fields(object.status)[column] ?? fields(object.spec)[column]) ?? null,
    ]),
  },
  {
    name: 'network-object',
    kind: 'json',
    samples: [JSON.stringify(network)],
    pieces: [
      'config',
      '{"type":"macvlan"}',
      '{"Type":"macvlan","type":"macvlan"}',
      '{"type":"ipvlan","plugins":null}',
      '{"name":"\u2028","type":"macvlan"}',
      '{"type":"macvlan",}',
    ],
    run: reader(projectNetwork),
  },
  {
    name: 'openapi',
    kind: 'json',
    samples: [
      '{"components":{"schemas":{"io.kubevirt.v1.Devices":{"properties":{"numberPciPorts":{"type":"integer"}}}}}}',
    ],
    pieces: ['components', 'schemas', 'properties'],
    run: (text) => {
      try {
        return hasPortField(JSON.parse(text));
      } catch (error) {
        if (error instanceof SyntaxError) return new Refused('no JSON');
        throw error;
      }
    },
  },
];
