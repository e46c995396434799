/**
 * Schemas of VirtualMachineInstance spec and status, cut down to what NICs and ports touch: fields of KubeVirt v1.9
 * that are not modelled are kept as they come, those of interfaces, networks and devices are all named.
 */
import {
  boolean,
  choice,
  integer,
  list,
  map,
  marker,
  nullableTime,
  object,
  open,
  quantity,
  type Schema,
  string,
  time,
} from './schema.ts';

/** Most entries that KubeVirt's schemas allow in a list of devices. */
const most = 256;

const port = object(
  'A port that masquerade forwards to the guest.',
  {
    name: string('Name of the port, an IANA service name.'),
    port: integer('Number of the port, 1 to 65535.', 'int32'),
    protocol: string('TCP (default) or UDP.'),
  },
  ['port'],
);

/** An entry of `domain.devices.interfaces`; exactly one binding. */
const interfaceSchema = object(
  'A NIC of the guest, joined with the network of the same name.',
  {
    name: string('Name of the NIC and of its network.'),
    model: string('virtio, e1000, e1000e, igb, ne2k_pci, pcnet or rtl8139.'),
    macAddress: string('MAC address; without it the one of the pod interface is used.'),
    state: string('up (default), down: link without carrier, absent: unplug the NIC.'),
    bridge: marker('Binding: a bridge in the pod joins the pod interface with the tap.'),
    masquerade: marker('Binding: NAT, for the pod network alone.'),
    sriov: marker('Binding: a PCI virtual function is passed through.'),
    binding: object('Binding: a registered plugin.', { name: string('Name of the plugin.') }, ['name']),
    passtBinding: marker('Binding: passt, for the pod network alone.'),
    passt: marker('Discontinued.'),
    slirp: marker('Discontinued.'),
    macvtap: marker('Discontinued.'),
    bootOrder: integer('Place in the order of boot devices, from 1.'),
    pciAddress: string('PCI address that the guest sees, such as 0000:81:01.10.'),
    acpiIndex: integer('ACPI index, from which a guest may name the NIC.'),
    tag: string('Value told to the guest as metadata of the device.'),
    ports: list('Ports that masquerade forwards; all of them where the list is empty.', port),
    portRanges: list(
      'Ranges of ports that masquerade forwards.',
      object('', { start: integer('', 'int32'), end: integer('', 'int32'), protocol: string() }, [
        'start',
        'end',
        'protocol',
      ]),
    ),
    dhcpOptions: object('Options that the DHCP server of the pod hands out.', {
      bootFileName: string('DHCP option 67.'),
      tftpServerName: string('DHCP option 66.'),
      ntpServers: list('IPv4 addresses of NTP servers.', string()),
      privateOptions: list(
        'Options 224 to 254.',
        object('', { option: integer(), value: string() }, ['option', 'value']),
      ),
    }),
  },
  ['name'],
);

const networkSchema = object(
  'What a NIC is plugged into; exactly one kind.',
  {
    name: string('Name of the network and of its interface.'),
    pod: object('The pod network.', {
      vmNetworkCIDR: string('IPv4 range of masquerade.'),
      vmIPv6NetworkCIDR: string('IPv6 range of masquerade.'),
    }),
    multus: object(
      'A network that Multus attaches.',
      {
        networkName: string('NetworkAttachmentDefinition: name, or namespace/name.'),
        default: boolean('Takes the place of the pod network.'),
      },
      ['networkName'],
    ),
    resourceClaim: object('A device of a resource claim.', { claimName: string(), requestName: string() }),
  },
  ['name'],
);

const bus = string('virtio, sata, scsi or usb.');

const disk = object(
  'A disk of the guest, joined with the volume of the same name.',
  {
    name: string('Name of the disk and of its volume.'),
    disk: object('A hard disk.', { bus, pciAddress: string(), readonly: boolean() }),
    lun: object('A LUN.', { bus, readonly: boolean(), reservation: boolean() }),
    cdrom: object('A CD-ROM drive.', { bus, readonly: boolean(), tray: string() }),
    bootOrder: integer('Place in the order of boot devices, from 1.'),
    serial: string('Serial number that the guest sees.'),
    cache: string('none, writethrough or writeback.'),
    io: string('native, threads or default.'),
    tag: string(),
    blockSize: open(),
    changedBlockTracking: boolean(),
    dedicatedIOThread: boolean(),
    errorPolicy: string(),
    shareable: boolean(),
  },
  ['name'],
);

const hostDevice = object(
  'A device of the host, passed through.',
  { name: string(), deviceName: string('Resource name of the device plugin.'), tag: string() },
  ['name'],
);

const devices = object('Disks, NICs and other devices of the guest.', {
  interfaces: list('NICs; each has a network of its name.', interfaceSchema, most),
  disks: list('Disks; each has a volume of its name.', disk, most),
  hostDevices: list('Host devices, one PCIe port each.', {
    ...hostDevice,
    properties: { ...hostDevice.properties, claimName: string(), requestName: string() },
  }),
  gpus: list('GPUs, one PCIe port each.', {
    ...hostDevice,
    properties: { ...hostDevice.properties, claimName: string(), requestName: string(), virtualGPUOptions: open() },
  }),
  inputs: list(
    'Tablets and keyboards.',
    object('', { name: string(), bus: string(), type: string() }, ['name', 'type']),
  ),
  filesystems: list('Shared directories.', open()),
  panicDevices: list('Panic devices.', open()),
  rng: marker('A source of random numbers, one PCIe port.'),
  watchdog: open('A watchdog.'),
  sound: open('A sound card.'),
  tpm: open('A TPM.'),
  video: open('A video card.'),
  downwardMetrics: marker('Metrics of the host, told to the guest.'),
  clientPassthrough: marker('Redirection of USB devices of clients.'),
  autoattachGraphicsDevice: boolean('A video card where none is listed; default true.'),
  autoattachInputDevice: boolean(),
  autoattachMemBalloon: boolean('A memory balloon, one PCIe port; default true.'),
  autoattachPodInterface: boolean('A NIC on the pod network where no interface is listed; default true.'),
  autoattachSerialConsole: boolean(),
  autoattachVSOCK: boolean(),
  blockMultiQueue: boolean(),
  disableHotplug: boolean('No SCSI controller for volumes that are plugged later.'),
  logSerialConsole: boolean(),
  networkInterfaceMultiqueue: boolean('A queue a CPU on each virtio NIC.'),
  useVirtioTransitional: boolean('Virtio devices for old guests; they need conventional PCI slots.'),
});

const enabled = object('', { enabled: boolean() });

const domain = object(
  'The virtual hardware.',
  {
    devices,
    machine: object('Chipset.', { type: string('Machine type, such as q35.') }),
    memory: object('Memory of the guest.', {
      guest: quantity('What the guest sees.'),
      maxGuest: quantity('Up to how much can be plugged.'),
      hugepages: object('', { pageSize: string() }),
      reservedOverhead: open(),
    }),
    cpu: object('CPUs of the guest.', {
      cores: integer('Cores a socket.', 'int32'),
      sockets: integer('Sockets.', 'int32'),
      maxSockets: integer('Up to how many can be plugged.', 'int32'),
      threads: integer('Threads a core.', 'int32'),
      model: string('CPU model, host-model or host-passthrough.'),
      features: list('', object('', { name: string(), policy: string() }, ['name'])),
      dedicatedCpuPlacement: boolean(),
      isolateEmulatorThread: boolean(),
      numa: open(),
      realtime: open(),
    }),
    resources: object('Compute resources of the launcher pod.', {
      requests: map('', quantity()),
      limits: map('', quantity()),
      overcommitGuestOverhead: boolean(),
    }),
    features: object('Features of the hypervisor.', {
      acpi: enabled,
      apic: object('', { enabled: boolean(), endOfInterrupt: boolean() }),
      hyperv: open(),
      hypervPassthrough: enabled,
      kvm: object('', { hidden: boolean() }),
      pvspinlock: enabled,
      smm: enabled,
    }),
    firmware: object('BIOS or UEFI.', {
      uuid: string('UUID that the guest sees.'),
      serial: string('Serial number that the guest sees.'),
      bootloader: open(),
      kernelBoot: open(),
      acpi: open(),
    }),
    clock: open('Clock and timers.'),
    chassis: open('What DMI tells of the chassis.'),
    ioThreads: open(),
    ioThreadsPolicy: string('shared, auto or supplementalPool.'),
    launchSecurity: open(),
    rebootPolicy: choice('What a reboot of the guest does.', 'Reboot', 'Terminate'),
  },
  ['devices'],
);

const volume = object(
  'Where the content of a disk comes from.',
  {
    name: string('Name of the volume and of its disk.'),
    ...Object.fromEntries(
      [
        'cloudInitConfigDrive',
        'cloudInitNoCloud',
        'configMap',
        'containerDisk',
        'dataVolume',
        'downwardAPI',
        'downwardMetrics',
        'emptyDisk',
        'ephemeral',
        'hostDisk',
        'memoryDump',
        'persistentVolumeClaim',
        'secret',
        'serviceAccount',
        'sysprep',
      ].map((kind) => [kind, open()]),
    ),
    containerPath: object(
      'A folder of the launcher container.',
      {
        path: {
          ...string('Absolute path in the container.'),
          'x-kubernetes-validations': [{ rule: "self.startsWith('/')", message: 'must begin with a slash' }],
        },
        readOnly: boolean(),
      },
      ['path'],
    ),
  },
  ['name'],
);

export const vmiSpecSchema: Schema = object(
  'The machine as it shall run.',
  {
    domain,
    networks: list('Networks; each has an interface of its name.', networkSchema, most),
    volumes: list('Volumes; disks refer to them by name.', volume, most),
    utilityVolumes: list('', open(), most),
    architecture: string('CPU architecture of guest and node: amd64, arm64 or s390x.'),
    nodeSelector: map('Labels that the node must have.', string()),
    affinity: open('Where the scheduler puts the pod.'),
    tolerations: list('Taints that are put up with.', open()),
    topologySpreadConstraints: list('', open()),
    priorityClassName: string(),
    schedulerName: string(),
    evictionStrategy: string('What a drain of the node does: LiveMigrate, LiveMigrateIfPossible, None or External.'),
    startStrategy: string('Paused: start without running.'),
    terminationGracePeriodSeconds: integer('Seconds that the guest has to shut down.', 'int64'),
    hostname: string(),
    subdomain: string(),
    dnsPolicy: string(),
    dnsConfig: open(),
    livenessProbe: open('Restarts the VM where it fails.'),
    readinessProbe: open('Takes the VM out of services where it fails.'),
    accessCredentials: list('', open(), most),
    resourceClaims: list('', open()),
    serviceAccountName: string(),
  },
  ['domain'],
);

export const conditionSchema = object(
  'A statement on the object.',
  {
    type: string(),
    status: string('True, False or Unknown.'),
    reason: string(),
    message: string(),
    lastProbeTime: nullableTime(),
    lastTransitionTime: nullableTime(),
  },
  ['type', 'status'],
);

export const migrationStateSchema = object('How a migration goes.', {
  migrationUid: string(),
  sourceNode: string(),
  sourcePod: string(),
  targetNode: string(),
  targetPod: string(),
  targetNodeAddress: string(),
  targetNodeDomainDetected: boolean(),
  targetNodeDomainReadyTimestamp: time(),
  targetNodeTopology: string(),
  targetAttachmentPodUID: string(),
  targetCPUSet: list('', integer()),
  targetDirectMigrationNodePorts: map('', integer()),
  targetMemoryOverhead: quantity(),
  sourcePersistentStatePVCName: string(),
  targetPersistentStatePVCName: string(),
  startTimestamp: nullableTime(),
  endTimestamp: nullableTime(),
  completed: boolean(),
  failed: boolean(),
  failureReason: string(),
  abortRequested: boolean(),
  abortStatus: string(),
  mode: string('PreCopy, PostCopy or Paused.'),
  migrationPolicyName: string(),
  migrationNetworkType: string(),
  migrationConfiguration: open(),
  sourceState: open(),
  targetState: open(),
});

export const phaseTransitionsSchema = list(
  'When each phase was entered.',
  object('', { phase: string(), phaseTransitionTimestamp: time() }),
);

export const vmiStatusSchema = object('The machine as it runs.', {
  phase: string('Pending, Scheduling, Scheduled, Running, Succeeded, Failed or Unknown.'),
  reason: string(),
  nodeName: string('Node on which it runs.'),
  interfaces: list(
    'NICs as pod, domain and guest know them.',
    object('', {
      name: string('Name of the network; empty for a NIC that only the guest knows.'),
      mac: string(),
      ipAddress: string('The first address.'),
      ipAddresses: list('', string()),
      podInterfaceName: string('Name in the launcher pod.'),
      interfaceName: string('Name in the guest.'),
      infoSource: string('Who knows of it: domain, guest-agent, multus-status.'),
      queueCount: integer('', 'int32'),
      linkState: string('up or down.'),
    }),
  ),
  conditions: list('', conditionSchema),
  activePods: map('UID of each launcher pod, and its node.', string()),
  migrationState: migrationStateSchema,
  migrationMethod: string('BlockMigration or LiveMigration.'),
  migrationTransport: string(),
  evacuationNodeName: string(),
  launcherContainerImageVersion: string('Image of the launcher.'),
  virtualMachineRevisionName: string(),
  phaseTransitionTimestamps: phaseTransitionsSchema,
  currentCPUTopology: object('', { cores: integer(), sockets: integer(), threads: integer() }),
  memory: object('', {
    guestAtBoot: quantity(),
    guestCurrent: quantity(),
    guestRequested: quantity(),
    memoryOverhead: quantity(),
  }),
  machine: object('', { type: string() }),
  guestOSInfo: object('', {
    id: string(),
    name: string(),
    prettyName: string(),
    version: string(),
    versionId: string(),
    kernelRelease: string(),
    kernelVersion: string(),
    machine: string(),
  }),
  volumeStatus: list('', open()),
  migratedVolumes: list('', open()),
  kernelBootStatus: open(),
  topologyHints: open(),
  changedBlockTracking: open(),
  fsFreezeStatus: string(),
  qosClass: string(),
  runtimeUser: integer('', 'int64'),
  selinuxContext: string(),
  VSOCKCID: integer('', 'int64'),
});
