SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Rate limits that all workers keep together.  A local table: one row per limit, changed by
-- one statement at a time.

CREATE TABLE rate_limits (
    name text COLLATE "C" PRIMARY KEY,
    holder uuid,
    free_at timestamptz NOT NULL DEFAULT '-infinity',
    blocked_until timestamptz NOT NULL DEFAULT '-infinity',
    unanswered_until timestamptz NOT NULL DEFAULT '-infinity'
);

COMMENT ON TABLE rate_limits IS 'Budgets of requests to other services, kept together by all workers of the workspace.';
COMMENT ON COLUMN rate_limits.name IS 'Whose limit, such as notion.';
COMMENT ON COLUMN rate_limits.holder IS 'The limiter that was let through last.';
COMMENT ON COLUMN rate_limits.free_at IS 'When the next request may be sent.';
COMMENT ON COLUMN rate_limits.blocked_until IS 'Until when the service wants to be left alone (Retry-After).';
COMMENT ON COLUMN rate_limits.unanswered_until IS 'Until when the others wait for the holder''s answer, which may be a Retry-After.';
