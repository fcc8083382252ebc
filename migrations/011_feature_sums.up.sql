SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Lipids that may be the same one: PC 34:1, PC 16:0_18:1 and PC 16:0/18:1(9Z) share the
-- sum "PC 34:1", which stands among the attributes of each.  The index leads from one to
-- the others; which of them contains which is for the reader of their names to say.

CREATE INDEX features_sum ON features (((attributes ->> 'sum') COLLATE "C"))
    WHERE attributes ? 'sum';

-- Lipids stored before sums were kept: `ligase link` fills them in.  It is empty
-- afterwards, so that asking whether any are left costs nothing.
CREATE INDEX features_without_sum ON features (key)
    WHERE feature_type = 'lipid' AND attributes ? 'class' AND NOT attributes ? 'sum'
        AND level NOT IN ('category', 'class');
