// The names of the networks in one place: NetworkAttachmentDefinitions of the namespace that the VMs are in.
{
  storage: 'storage-net',
  management: 'mgmt-net',
}
