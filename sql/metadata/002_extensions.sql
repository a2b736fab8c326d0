-- What hangs on a tenant: where its database is.
create table if not exists extensions (
  id uuid not null primary key,
  type text,
  settings jsonb,
  tenant_external_id text references tenants (external_id) on delete cascade,
  inserted_at timestamp(0) without time zone not null,
  updated_at timestamp(0) without time zone not null
);
create unique index if not exists extensions_tenant_external_id_type_index on extensions (tenant_external_id, type);
create index if not exists extensions_tenant_external_id_index on extensions (tenant_external_id);
