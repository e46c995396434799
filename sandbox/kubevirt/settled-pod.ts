/**
 * The parts of a running launcher pod that only make it as large as a real one: containers, mounts and statuses, of the
 * size and shape that KubeVirt v1.9 gives them.
 */
import { computeContainer, labels } from '../../reconcile/systems/kubevirt-names.ts';
import { launcherImage } from '../actors/launcher-pod.ts';

export interface PodFacts {
  readonly vmName: string;
  readonly namespace: string;
  readonly vmiUid: string;
  readonly podUid: string;
  readonly node: string;
  readonly hostIp: string;
  readonly podIp: string;
  readonly disk: { readonly name: string; readonly image: string };
  /** RFC 3339. */
  readonly started: string;
}

const nobody = 107;
const restricted = {
  capabilities: { drop: ['ALL'] },
  runAsUser: nobody,
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
};
const imageDigest = 'sha256:7a27480429ff286c1261ddb75f16b4d2d8582bd204f434cc47a7dbf65bfb9c5a';
const folders = [
  ['private', '/var/run/kubevirt-private'],
  ['public', '/var/run/kubevirt'],
  ['ephemeral-disks', '/var/run/kubevirt-ephemeral-disks'],
  ['libvirt-runtime', '/var/run/libvirt'],
  ['sockets', '/var/run/kubevirt/sockets'],
  ['hotplug-disks', '/var/run/kubevirt/hotplug-disks'],
] as const;

export function settledPodSpec(facts: PodFacts): object {
  return {
    volumes: [
      ...folders.map(([name]) => ({ name, emptyDir: {} })),
      { name: 'virt-bin-share-dir', emptyDir: {} },
      { name: facts.disk.name, image: { reference: facts.disk.image, pullPolicy: 'IfNotPresent' } },
      { name: 'launcher-volume', image: { reference: launcherImage, pullPolicy: 'IfNotPresent' } },
    ],
    initContainers: [consoleLog(facts), diskHolder(facts)],
    containers: [compute(facts)],
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 60,
    dnsPolicy: 'ClusterFirst',
    nodeSelector: {
      'kubernetes.io/arch': 'amd64',
      'kubevirt.io/schedulable': 'true',
      'machine-type.node.kubevirt.io/q35': 'true',
    },
    serviceAccountName: 'default',
    serviceAccount: 'default',
    automountServiceAccountToken: false,
    nodeName: facts.node,
    securityContext: { runAsUser: nobody, runAsGroup: nobody, runAsNonRoot: true, fsGroup: nobody },
    hostname: facts.vmName,
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [
            {
              matchExpressions: [{ key: 'node-labeller.kubevirt.io/obsolete-host-model', operator: 'DoesNotExist' }],
            },
          ],
        },
      },
    },
    schedulerName: 'default-scheduler',
    tolerations: ['not-ready', 'unreachable'].map((taint) => ({
      key: `node.kubernetes.io/${taint}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 300,
    })),
    priority: 0,
    readinessGates: [{ conditionType: 'kubevirt.io/virtual-machine-unpaused' }],
    enableServiceLinks: false,
    preemptionPolicy: 'PreemptLowerPriority',
  };
}

function consoleLog({ vmiUid }: PodFacts): object {
  return {
    name: 'guest-console-log',
    image: launcherImage,
    command: ['/usr/bin/virt-tail'],
    args: ['--logfile', `/var/run/kubevirt-private/${vmiUid}/virt-serial0-log`],
    env: [{ name: 'VIRT_LAUNCHER_LOG_VERBOSITY', value: '2' }],
    resources: { limits: { cpu: '15m', memory: '60M' }, requests: { cpu: '5m', memory: '35M' } },
    restartPolicy: 'Always',
    volumeMounts: [{ name: 'private', readOnly: true, mountPath: '/var/run/kubevirt-private' }],
    ...termination('File'),
    securityContext: restricted,
  };
}

function diskHolder({ disk }: PodFacts): object {
  return {
    name: `volume${disk.name}`,
    image: disk.image,
    command: ['/container-disk-binary/usr/bin/container-disk'],
    args: ['--no-op'],
    resources: {
      limits: { cpu: '10m', memory: '40M' },
      requests: { cpu: '1m', 'ephemeral-storage': '50M', memory: '1M' },
    },
    volumeMounts: [{ name: 'launcher-volume', readOnly: true, mountPath: '/container-disk-binary' }],
    ...termination('File'),
    securityContext: restricted,
  };
}

function compute({ vmName, namespace, vmiUid, disk }: PodFacts): object {
  const directories = ['XDG_CACHE_HOME', 'XDG_CONFIG_HOME'].map((name) => ({ name, value: folders[0][1] }));
  return {
    name: computeContainer,
    image: launcherImage,
    command: [
      '/usr/bin/virt-launcher-monitor',
      ...['--qemu-timeout', '320s', '--name', vmName, '--uid', vmiUid, '--namespace', namespace],
      ...['--kubevirt-share-dir', folders[1][1], '--ephemeral-disk-dir', folders[2][1]],
      ...['--container-disk-dir', '/var/run/kubevirt/container-disks', '--grace-period-seconds', '45'],
      ...['--hook-sidecars', '0', '--ovmf-path', '/usr/share/edk2/ovmf', '--disk-memory-limit', '2097152000'],
      ...['--hypervisor', 'kvm', '--run-as-nonroot', '--image-volume', '--upgrade-ordinal-ifaces'],
    ],
    env: [
      ...directories,
      { name: 'XDG_RUNTIME_DIR', value: '/var/run' },
      { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
    ],
    resources: {
      limits: { 'devices.kubevirt.io/tun': '1' },
      requests: { cpu: '200m', 'devices.kubevirt.io/tun': '1', 'ephemeral-storage': '50M', memory: '1300Mi' },
    },
    volumeMounts: [
      ...folders.map(([name, mountPath]) => ({ name, mountPath })),
      { name: disk.name, readOnly: true, mountPath: '/var/run/kubevirt-image-volume/disk_0' },
    ],
    ...termination('FallbackToLogsOnError'),
    securityContext: {
      ...restricted,
      runAsGroup: nobody,
      capabilities: { add: ['NET_BIND_SERVICE'], drop: ['ALL'] },
    },
  };
}

function termination(policy: string): object {
  return {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: policy,
    imagePullPolicy: 'IfNotPresent',
  };
}

export function settledPodStatus(facts: PodFacts): object {
  const { started } = facts;
  const condition = (type: string): object => ({
    type,
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: started,
  });
  return {
    phase: 'Running',
    conditions: [
      {
        type: 'kubevirt.io/virtual-machine-unpaused',
        status: 'True',
        lastProbeTime: started,
        lastTransitionTime: started,
        reason: 'NotPaused',
        message: 'the virtual machine is not paused',
      },
      ...['PodScheduled', 'PodReadyToStartContainers', 'Initialized', 'ContainersReady', 'Ready'].map(condition),
    ],
    hostIP: facts.hostIp,
    hostIPs: [{ ip: facts.hostIp }],
    podIP: facts.podIp,
    podIPs: [{ ip: facts.podIp }],
    startTime: started,
    initContainerStatuses: [
      containerStatus(facts, 'guest-console-log', launcherImage, true),
      containerStatus(facts, `volume${facts.disk.name}`, facts.disk.image, false),
    ],
    containerStatuses: [containerStatus(facts, computeContainer, launcherImage, true)],
    qosClass: 'Burstable',
  };
}

function containerStatus({ podUid, started }: PodFacts, name: string, image: string, runs: boolean): object {
  const ended = { exitCode: 0, reason: 'Completed', startedAt: started, finishedAt: started };
  return {
    name,
    state: runs ? { running: { startedAt: started } } : { terminated: ended },
    lastState: {},
    ready: true,
    restartCount: 0,
    image,
    imageID: `${image.split(':')[0]}@${imageDigest}`,
    containerID: `containerd://${podUid.replaceAll('-', '')}${name}`,
    started: runs,
  };
}

/** Labels that the pod gains once its node is known. */
export function nodeLabel(node: string): Readonly<Record<string, string>> {
  return { [labels.nodeName]: node };
}
