-- Access and refresh tokens of accounts whose tokens run out. The values are sealed with
-- a key that is not in the database; the row of an account is locked while its token is
-- renewed, so that two workers never use up one refresh token.
set role migrator;

create table if not exists ops.oauth_tokens (
    source text not null,
    account_id text not null,
    -- AES-256-GCM: 12 bytes of nonce, then the token as JSON; null: none yet
    sealed bytea,
    -- keyed hash of the connection the token was got by: with another one it is void
    credentials bytea,
    expires_at timestamptz,
    renewed_at timestamptz,
    primary key (source, account_id)
);

-- One row per renewal, written before the vendor is asked and from outside of the
-- renewal's transaction: a row without an end is a renewal that was cut off.
create table if not exists ops.oauth_renewals (
    renewal_id bigint primary key generated always as identity,
    source text not null,
    account_id text not null,
    began_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    outcome text check (outcome in ('renewed', 'failed', 'cut off'))
);
create index if not exists oauth_renewals_by_account
on ops.oauth_renewals (source, account_id, renewal_id desc);

revoke all on ops.oauth_tokens from transformer, publisher;
grant select, insert, update, delete on ops.oauth_tokens to loader;
grant insert, update on ops.oauth_renewals to loader;

reset role;
