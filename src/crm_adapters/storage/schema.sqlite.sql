CREATE TABLE course (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	title TEXT NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT uq_course_title UNIQUE (title)
)
 STRICT;;
CREATE TABLE department (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	code INTEGER NOT NULL,
	title TEXT NOT NULL,
	parent_id INTEGER,
	manager_id INTEGER,
	version INTEGER NOT NULL,
	CONSTRAINT fk_department_manager_id FOREIGN KEY(manager_id) REFERENCES employee (id),
	CONSTRAINT fk_department_parent_id FOREIGN KEY(parent_id) REFERENCES department (id),
	CONSTRAINT uq_department_code UNIQUE (code)
)
 STRICT;;
CREATE TABLE holiday (
	id INTEGER NOT NULL,
	"on" TEXT NOT NULL,
	working INTEGER NOT NULL,
	title TEXT NOT NULL,
	CONSTRAINT pk_holiday PRIMARY KEY (id),
	CONSTRAINT uq_holiday_on UNIQUE ("on")
)
 STRICT;;
CREATE TABLE import_problem (
	id INTEGER NOT NULL,
	import_id INTEGER NOT NULL,
	"row" INTEGER NOT NULL,
	"column" TEXT NOT NULL,
	code TEXT NOT NULL,
	message TEXT NOT NULL,
	value TEXT,
	CONSTRAINT fk_import_problem_import_id FOREIGN KEY(import_id) REFERENCES import_run (id),
	CONSTRAINT pk_import_problem PRIMARY KEY (id)
)
 STRICT;;
CREATE TABLE job_wish (
	name TEXT NOT NULL,
	asked_at INTEGER NOT NULL,
	fence INTEGER NOT NULL,
	CONSTRAINT pk_job_wish PRIMARY KEY (name)
)
 STRICT;;
CREATE TABLE menu (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	code TEXT,
	title TEXT NOT NULL,
	title_en TEXT NOT NULL,
	icon TEXT,
	position INTEGER NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT uq_menu_code UNIQUE (code),
	CONSTRAINT uq_menu_title UNIQUE (title)
)
 STRICT;;
CREATE TABLE role (
	id INTEGER NOT NULL,
	code TEXT,
	title TEXT NOT NULL,
	title_en TEXT NOT NULL,
	scope TEXT NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT ck_role_scope CHECK (scope IN ('own', 'department', 'department_and_below', 'all')),
	CONSTRAINT pk_role PRIMARY KEY (id),
	CONSTRAINT uq_role_code UNIQUE (code),
	CONSTRAINT uq_role_title UNIQUE (title)
)
 STRICT;;
CREATE TABLE rotation_plan (
	version INTEGER NOT NULL,
	entries TEXT NOT NULL,
	strategy TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	CONSTRAINT pk_rotation_plan PRIMARY KEY (version)
)
 STRICT;;
CREATE TABLE scheduled_job (
	id INTEGER NOT NULL,
	name TEXT NOT NULL,
	slot INTEGER NOT NULL,
	leased_until INTEGER,
	fence INTEGER NOT NULL,
	started_at INTEGER NOT NULL,
	finished_at INTEGER,
	result TEXT,
	error TEXT,
	succeeded_at INTEGER,
	CONSTRAINT pk_scheduled_job PRIMARY KEY (id),
	CONSTRAINT uq_scheduled_job_name UNIQUE (name)
)
 STRICT;;
CREATE TABLE school (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	title TEXT NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT uq_school_title UNIQUE (title)
)
 STRICT;;
CREATE TABLE sent_form (
	token_sha256 TEXT NOT NULL,
	content_sha256 TEXT NOT NULL,
	record_id INTEGER,
	at INTEGER NOT NULL,
	CONSTRAINT ck_sent_form_token_sha256 CHECK (length(token_sha256) = 64),
	CONSTRAINT pk_sent_form PRIMARY KEY (token_sha256)
)
 STRICT;;
CREATE TABLE sign_in_attempt (
	"key" TEXT NOT NULL,
	tries INTEGER NOT NULL,
	last_at INTEGER NOT NULL,
	free_at INTEGER NOT NULL,
	CONSTRAINT ck_sign_in_attempt_tries CHECK (tries >= 0),
	CONSTRAINT pk_sign_in_attempt PRIMARY KEY ("key")
)
 STRICT;;
CREATE TABLE employee (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	employee_number TEXT,
	phone TEXT,
	email TEXT,
	department_id INTEGER,
	wechat_openid TEXT,
	dingtalk_user_id TEXT,
	on_duty INTEGER NOT NULL,
	leave TEXT NOT NULL,
	left_on TEXT,
	version INTEGER NOT NULL,
	CONSTRAINT fk_employee_department_id FOREIGN KEY(department_id) REFERENCES department (id),
	CONSTRAINT uq_employee_employee_number UNIQUE (employee_number),
	CONSTRAINT uq_employee_wechat_openid UNIQUE (wechat_openid)
)
 STRICT;;
CREATE TABLE permission_group (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	code TEXT,
	title TEXT NOT NULL,
	title_en TEXT NOT NULL,
	menu_id INTEGER,
	position INTEGER NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT fk_permission_group_menu_id FOREIGN KEY(menu_id) REFERENCES menu (id),
	CONSTRAINT uq_permission_group_code UNIQUE (code),
	CONSTRAINT uq_permission_group_title UNIQUE (title)
)
 STRICT;;
CREATE TABLE pool_rule (
	id INTEGER NOT NULL,
	position INTEGER NOT NULL,
	school_id INTEGER,
	course_id INTEGER,
	source TEXT,
	intention TEXT,
	contact_days INTEGER NOT NULL,
	closing_days INTEGER NOT NULL,
	warning_days INTEGER NOT NULL,
	working_days INTEGER NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT ck_pool_rule_days CHECK (contact_days >= 0 AND closing_days >= 0 AND warning_days >= 0),
	CONSTRAINT ck_pool_rule_intention CHECK (intention IN ('no_plan', 'within_2_months', 'within_1_month', 'within_2_weeks', 'within_1_week', 'within_2_days', 'enrolled', 'paid_in_full')),
	CONSTRAINT ck_pool_rule_source CHECK (source IN ('qq_group', 'referral', 'website', 'baidu', 'so360', 'sogou', 'tencent_class', 'tencent_ads', 'campus_talk', 'agent', '51cto', 'zhihuitui', 'ad_network', 'dsp', 'seo', 'other')),
	CONSTRAINT fk_pool_rule_course_id FOREIGN KEY(course_id) REFERENCES course (id),
	CONSTRAINT fk_pool_rule_school_id FOREIGN KEY(school_id) REFERENCES school (id),
	CONSTRAINT pk_pool_rule PRIMARY KEY (id),
	CONSTRAINT uq_pool_rule_position UNIQUE (position)
)
 STRICT;;
CREATE TABLE turn_cursor (
	id INTEGER NOT NULL,
	cycle INTEGER NOT NULL,
	position INTEGER NOT NULL,
	plan_version INTEGER NOT NULL,
	next_version INTEGER NOT NULL,
	people INTEGER NOT NULL,
	rules INTEGER NOT NULL,
	dating_after INTEGER,
	dating_on TEXT,
	CONSTRAINT ck_turn_cursor_dating CHECK ((dating_after IS NULL) = (dating_on IS NULL)),
	CONSTRAINT ck_turn_cursor_one_row CHECK (id = 1),
	CONSTRAINT ck_turn_cursor_position CHECK (position >= 0),
	CONSTRAINT fk_turn_cursor_next_version FOREIGN KEY(next_version) REFERENCES rotation_plan (version),
	CONSTRAINT fk_turn_cursor_plan_version FOREIGN KEY(plan_version) REFERENCES rotation_plan (version),
	CONSTRAINT pk_turn_cursor PRIMARY KEY (id)
)
 STRICT;;
CREATE TABLE account (
	id INTEGER NOT NULL,
	username TEXT NOT NULL,
	password_hash TEXT,
	email TEXT,
	employee_id INTEGER,
	student_id INTEGER,
	active INTEGER NOT NULL,
	language TEXT,
	created_at INTEGER,
	version INTEGER NOT NULL,
	CONSTRAINT fk_account_employee_id FOREIGN KEY(employee_id) REFERENCES employee (id),
	CONSTRAINT fk_account_student_id FOREIGN KEY(student_id) REFERENCES student (id),
	CONSTRAINT pk_account PRIMARY KEY (id),
	CONSTRAINT uq_account_employee_id UNIQUE (employee_id),
	CONSTRAINT uq_account_student_id UNIQUE (student_id),
	CONSTRAINT uq_account_username UNIQUE (username)
)
 STRICT;;
CREATE TABLE cohort (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	school_id INTEGER NOT NULL,
	course_id INTEGER NOT NULL,
	semester INTEGER NOT NULL,
	price INTEGER NOT NULL,
	start_date TEXT,
	graduate_date TEXT,
	capacity INTEGER,
	memo TEXT,
	tutor_id INTEGER,
	version INTEGER NOT NULL,
	CONSTRAINT ck_cohort_capacity CHECK (capacity >= 0),
	CONSTRAINT fk_cohort_course_id FOREIGN KEY(course_id) REFERENCES course (id),
	CONSTRAINT fk_cohort_school_id FOREIGN KEY(school_id) REFERENCES school (id),
	CONSTRAINT fk_cohort_tutor_id FOREIGN KEY(tutor_id) REFERENCES employee (id),
	CONSTRAINT uq_cohort_course_id_school_id_semester UNIQUE (course_id, school_id, semester)
)
 STRICT;;
CREATE TABLE notice (
	id INTEGER NOT NULL,
	recipient_id INTEGER NOT NULL,
	subject TEXT NOT NULL,
	body TEXT NOT NULL,
	event TEXT NOT NULL,
	about TEXT,
	channel TEXT NOT NULL,
	status TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	next_attempt_at INTEGER,
	leased_until INTEGER,
	fence INTEGER NOT NULL,
	expires_at INTEGER,
	provider_id TEXT,
	error TEXT,
	idempotency_key TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	sent_at INTEGER,
	read_at INTEGER,
	subject_en TEXT,
	body_en TEXT,
	CONSTRAINT ck_notice_attempts CHECK (attempts >= 0 AND attempts <= fence),
	CONSTRAINT ck_notice_due CHECK (next_attempt_at IS NOT NULL OR NOT status IN ('pending', 'failed')),
	CONSTRAINT ck_notice_event CHECK (event IN ('assigned', 'claimed', 'expiring', 'expired', 'transferred', 'contact_due', 'payment_confirmed', 'import_finished', 'nobody', 'test')),
	CONSTRAINT ck_notice_expired CHECK (status <> 'expired' OR expires_at IS NOT NULL),
	CONSTRAINT ck_notice_leased CHECK (leased_until IS NULL OR status IN ('pending', 'failed')),
	CONSTRAINT ck_notice_read CHECK (read_at IS NULL OR channel = 'inapp'),
	CONSTRAINT ck_notice_reason CHECK (status <> 'dead' OR error IS NOT NULL),
	CONSTRAINT ck_notice_sent CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
	CONSTRAINT ck_notice_status CHECK (status IN ('pending', 'sent', 'failed', 'dead', 'cancelled', 'expired')),
	CONSTRAINT fk_notice_recipient_id FOREIGN KEY(recipient_id) REFERENCES employee (id),
	CONSTRAINT pk_notice PRIMARY KEY (id),
	CONSTRAINT uq_notice_idempotency_key UNIQUE (idempotency_key)
)
 STRICT;;
CREATE TABLE notice_preference (
	id INTEGER NOT NULL,
	employee_id INTEGER NOT NULL,
	off TEXT NOT NULL,
	quiet_from TEXT,
	quiet_until TEXT,
	version INTEGER NOT NULL,
	CONSTRAINT ck_notice_preference_quiet CHECK ((quiet_from IS NULL) = (quiet_until IS NULL) AND (quiet_from IS NULL OR quiet_from <> quiet_until)),
	CONSTRAINT fk_notice_preference_employee_id FOREIGN KEY(employee_id) REFERENCES employee (id),
	CONSTRAINT pk_notice_preference PRIMARY KEY (id),
	CONSTRAINT uq_notice_preference_employee_id UNIQUE (employee_id)
)
 STRICT;;
CREATE TABLE permission (
	id INTEGER NOT NULL,
	code TEXT NOT NULL,
	title TEXT NOT NULL,
	title_en TEXT NOT NULL,
	url TEXT,
	in_menu INTEGER NOT NULL,
	parent_id INTEGER,
	group_id INTEGER,
	position INTEGER NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT ck_permission_in_menu CHECK (NOT (CAST(in_menu AS INTEGER) = 1) OR url IS NOT NULL),
	CONSTRAINT ck_permission_parent_id CHECK (parent_id <> id),
	CONSTRAINT fk_permission_group_id FOREIGN KEY(group_id) REFERENCES permission_group (id),
	CONSTRAINT fk_permission_parent_id FOREIGN KEY(parent_id) REFERENCES permission (id),
	CONSTRAINT pk_permission PRIMARY KEY (id),
	CONSTRAINT uq_permission_code UNIQUE (code)
)
 STRICT;;
CREATE TABLE rotation_entry (
	id INTEGER NOT NULL,
	employee_id INTEGER NOT NULL,
	quota INTEGER NOT NULL,
	weight INTEGER NOT NULL,
	active INTEGER NOT NULL,
	CONSTRAINT ck_rotation_entry_quota CHECK (quota >= 0),
	CONSTRAINT fk_rotation_entry_employee_id FOREIGN KEY(employee_id) REFERENCES employee (id),
	CONSTRAINT pk_rotation_entry PRIMARY KEY (id),
	CONSTRAINT uq_rotation_entry_employee_id UNIQUE (employee_id)
)
 STRICT;;
CREATE TABLE account_roles (
	left_id INTEGER NOT NULL,
	right_id INTEGER NOT NULL,
	CONSTRAINT fk_account_roles_left_id FOREIGN KEY(left_id) REFERENCES account (id) ON DELETE CASCADE,
	CONSTRAINT fk_account_roles_right_id FOREIGN KEY(right_id) REFERENCES role (id),
	CONSTRAINT pk_account_roles PRIMARY KEY (left_id, right_id)
)
 STRICT;;
CREATE TABLE audit_entry (
	id INTEGER NOT NULL,
	at INTEGER NOT NULL,
	by_id INTEGER,
	acting_id INTEGER,
	action TEXT NOT NULL,
	record TEXT NOT NULL,
	record_id INTEGER,
	"before" TEXT,
	"after" TEXT,
	CONSTRAINT fk_audit_entry_acting_id FOREIGN KEY(acting_id) REFERENCES account (id),
	CONSTRAINT fk_audit_entry_by_id FOREIGN KEY(by_id) REFERENCES account (id),
	CONSTRAINT pk_audit_entry PRIMARY KEY (id)
)
 STRICT;;
CREATE TABLE cohort_teachers (
	left_id INTEGER NOT NULL,
	right_id INTEGER NOT NULL,
	CONSTRAINT fk_cohort_teachers_left_id FOREIGN KEY(left_id) REFERENCES cohort (id) ON DELETE CASCADE,
	CONSTRAINT fk_cohort_teachers_right_id FOREIGN KEY(right_id) REFERENCES employee (id),
	CONSTRAINT pk_cohort_teachers PRIMARY KEY (left_id, right_id)
)
 STRICT;;
CREATE TABLE customer (
	id INTEGER NOT NULL,
	name TEXT NOT NULL,
	phone TEXT,
	qq TEXT,
	wechat TEXT,
	gender TEXT,
	education TEXT,
	graduation_school TEXT,
	major TEXT,
	experience TEXT,
	work_status TEXT,
	company TEXT,
	salary TEXT,
	source TEXT,
	referred_by_id INTEGER,
	school_id INTEGER,
	memo TEXT,
	consulted_on TEXT,
	import_id INTEGER,
	import_row INTEGER,
	created_by_id INTEGER,
	created_at INTEGER,
	archived_at INTEGER,
	version INTEGER NOT NULL,
	pinyin TEXT NOT NULL,
	search TEXT NOT NULL,
	CONSTRAINT ck_customer_contact CHECK (archived_at IS NOT NULL OR phone IS NOT NULL OR qq IS NOT NULL OR wechat IS NOT NULL),
	CONSTRAINT ck_customer_education CHECK (education IN ('key_university', 'university', 'independent_college', 'private_university', 'college', 'private_college', 'high_school', 'other')),
	CONSTRAINT ck_customer_experience CHECK (experience IN ('student', 'graduate', 'half_year', 'one_year', 'three_years', 'five_years', 'longer')),
	CONSTRAINT ck_customer_gender CHECK (gender IN ('male', 'female')),
	CONSTRAINT ck_customer_source CHECK (source IN ('qq_group', 'referral', 'website', 'baidu', 'so360', 'sogou', 'tencent_class', 'tencent_ads', 'campus_talk', 'agent', '51cto', 'zhihuitui', 'ad_network', 'dsp', 'seo', 'other')),
	CONSTRAINT ck_customer_work_status CHECK (work_status IN ('employed', 'unemployed')),
	CONSTRAINT fk_customer_created_by_id FOREIGN KEY(created_by_id) REFERENCES account (id),
	CONSTRAINT fk_customer_import_id FOREIGN KEY(import_id) REFERENCES import_run (id),
	CONSTRAINT fk_customer_referred_by_id FOREIGN KEY(referred_by_id) REFERENCES customer (id),
	CONSTRAINT fk_customer_school_id FOREIGN KEY(school_id) REFERENCES school (id),
	CONSTRAINT pk_customer PRIMARY KEY (id)
)
 STRICT;;
CREATE TABLE enrolment (
	id INTEGER NOT NULL,
	student_id INTEGER NOT NULL,
	cohort_id INTEGER NOT NULL,
	joined_on TEXT NOT NULL,
	left_on TEXT,
	status TEXT NOT NULL,
	reason TEXT,
	version INTEGER NOT NULL,
	CONSTRAINT ck_enrolment_status CHECK (status IN ('studying', 'on_leave', 'transferred', 'withdrawn', 'graduated')),
	CONSTRAINT fk_enrolment_cohort_id FOREIGN KEY(cohort_id) REFERENCES cohort (id),
	CONSTRAINT fk_enrolment_student_id FOREIGN KEY(student_id) REFERENCES student (id),
	CONSTRAINT pk_enrolment PRIMARY KEY (id)
)
 STRICT;;
CREATE TABLE import_run (
	id INTEGER NOT NULL,
	file_name TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	record TEXT NOT NULL,
	mode TEXT NOT NULL,
	consultant_id INTEGER,
	status TEXT NOT NULL,
	next_row INTEGER NOT NULL,
	last_row INTEGER NOT NULL,
	data_rows INTEGER NOT NULL,
	blank_rows INTEGER NOT NULL,
	accepted INTEGER NOT NULL,
	refused INTEGER NOT NULL,
	warnings TEXT NOT NULL,
	by_id INTEGER,
	created_at INTEGER NOT NULL,
	started_at INTEGER,
	started_by_id INTEGER,
	error TEXT,
	leased_until INTEGER,
	fence INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	finished_at INTEGER,
	CONSTRAINT ck_import_run_attempts CHECK (attempts >= 0 AND attempts <= fence),
	CONSTRAINT ck_import_run_checked CHECK (status <> 'checked' OR (accepted + refused = 0 AND started_at IS NULL)),
	CONSTRAINT ck_import_run_done CHECK (status <> 'done' OR (accepted + refused = data_rows AND next_row > last_row)),
	CONSTRAINT ck_import_run_error CHECK (error IS NULL OR status IN ('paused', 'failed')),
	CONSTRAINT ck_import_run_failed CHECK (status <> 'failed' OR error IS NOT NULL),
	CONSTRAINT ck_import_run_finished CHECK ((status IN ('done', 'reverted')) = (finished_at IS NOT NULL)),
	CONSTRAINT ck_import_run_leased CHECK (leased_until IS NULL OR status = 'running'),
	CONSTRAINT ck_import_run_mode CHECK (mode IN ('rotation', 'pool', 'consultant', 'none') AND (mode = 'consultant') = (consultant_id IS NOT NULL) AND (mode = 'none') = (record <> 'Customer')),
	CONSTRAINT ck_import_run_rows CHECK (accepted >= 0 AND refused >= 0 AND accepted + refused <= data_rows),
	CONSTRAINT ck_import_run_started CHECK (started_by_id IS NULL OR started_at IS NOT NULL),
	CONSTRAINT ck_import_run_status CHECK (status IN ('checked', 'running', 'paused', 'failed', 'done', 'reverted')),
	CONSTRAINT fk_import_run_by_id FOREIGN KEY(by_id) REFERENCES account (id),
	CONSTRAINT fk_import_run_consultant_id FOREIGN KEY(consultant_id) REFERENCES employee (id),
	CONSTRAINT fk_import_run_started_by_id FOREIGN KEY(started_by_id) REFERENCES account (id),
	CONSTRAINT pk_import_run PRIMARY KEY (id)
)
 STRICT;;
CREATE TABLE lesson (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	cohort_id INTEGER NOT NULL,
	day_number INTEGER NOT NULL,
	date TEXT NOT NULL,
	starts_at TEXT,
	ends_at TEXT,
	room TEXT,
	teacher_id INTEGER,
	title TEXT NOT NULL,
	summary TEXT,
	has_homework INTEGER NOT NULL,
	homework_title TEXT,
	homework_note TEXT,
	key_points TEXT,
	version INTEGER NOT NULL,
	CONSTRAINT fk_lesson_cohort_id FOREIGN KEY(cohort_id) REFERENCES cohort (id),
	CONSTRAINT fk_lesson_teacher_id FOREIGN KEY(teacher_id) REFERENCES employee (id),
	CONSTRAINT uq_lesson_cohort_id_day_number UNIQUE (cohort_id, day_number)
)
 STRICT;;
CREATE TABLE list_preference (
	id INTEGER NOT NULL,
	user_id INTEGER NOT NULL,
	list_name TEXT NOT NULL,
	columns TEXT NOT NULL,
	density TEXT NOT NULL,
	page_size INTEGER NOT NULL,
	CONSTRAINT ck_list_preference_density CHECK (density IN ('comfortable', 'compact')),
	CONSTRAINT ck_list_preference_page_size CHECK (page_size BETWEEN 5 AND 500),
	CONSTRAINT fk_list_preference_user_id FOREIGN KEY(user_id) REFERENCES account (id),
	CONSTRAINT pk_list_preference PRIMARY KEY (id),
	CONSTRAINT uq_list_preference_user_id_list_name UNIQUE (user_id, list_name)
)
 STRICT;;
CREATE TABLE reset_link (
	id INTEGER NOT NULL,
	user_id INTEGER NOT NULL,
	token_sha256 TEXT NOT NULL,
	by_id INTEGER,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at INTEGER,
	CONSTRAINT ck_reset_link_expires_at CHECK (expires_at > created_at),
	CONSTRAINT ck_reset_link_token_sha256 CHECK (length(token_sha256) = 64),
	CONSTRAINT fk_reset_link_by_id FOREIGN KEY(by_id) REFERENCES account (id),
	CONSTRAINT fk_reset_link_user_id FOREIGN KEY(user_id) REFERENCES account (id),
	CONSTRAINT pk_reset_link PRIMARY KEY (id),
	CONSTRAINT uq_reset_link_token_sha256 UNIQUE (token_sha256),
	CONSTRAINT uq_reset_link_user_id UNIQUE (user_id)
)
 STRICT;;
CREATE TABLE role_permissions (
	left_id INTEGER NOT NULL,
	right_id INTEGER NOT NULL,
	CONSTRAINT fk_role_permissions_left_id FOREIGN KEY(left_id) REFERENCES role (id) ON DELETE CASCADE,
	CONSTRAINT fk_role_permissions_right_id FOREIGN KEY(right_id) REFERENCES permission (id),
	CONSTRAINT pk_role_permissions PRIMARY KEY (left_id, right_id)
)
 STRICT;;
CREATE TABLE saved_view (
	id INTEGER NOT NULL,
	user_id INTEGER NOT NULL,
	list_name TEXT NOT NULL,
	title TEXT NOT NULL,
	"query" TEXT NOT NULL,
	shared INTEGER NOT NULL,
	created_at INTEGER,
	version INTEGER NOT NULL,
	CONSTRAINT fk_saved_view_user_id FOREIGN KEY(user_id) REFERENCES account (id),
	CONSTRAINT pk_saved_view PRIMARY KEY (id),
	CONSTRAINT uq_saved_view_user_id_list_name_title UNIQUE (user_id, list_name, title)
)
 STRICT;;
CREATE TABLE sign_in (
	id INTEGER NOT NULL,
	user_id INTEGER NOT NULL,
	token_sha256 TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	seen_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	address TEXT,
	network TEXT,
	device TEXT,
	ended_at INTEGER,
	acting_id INTEGER,
	own_id INTEGER,
	CONSTRAINT ck_sign_in_acting_id CHECK ((acting_id IS NULL) = (own_id IS NULL) AND (acting_id IS NULL OR acting_id <> user_id)),
	CONSTRAINT ck_sign_in_ended_at CHECK (ended_at >= created_at),
	CONSTRAINT ck_sign_in_expires_at CHECK (expires_at > created_at),
	CONSTRAINT ck_sign_in_seen_at CHECK (seen_at >= created_at),
	CONSTRAINT ck_sign_in_token_sha256 CHECK (length(token_sha256) = 64),
	CONSTRAINT fk_sign_in_acting_id FOREIGN KEY(acting_id) REFERENCES account (id),
	CONSTRAINT fk_sign_in_user_id FOREIGN KEY(user_id) REFERENCES account (id),
	CONSTRAINT pk_sign_in PRIMARY KEY (id),
	CONSTRAINT uq_sign_in_token_sha256 UNIQUE (token_sha256)
)
 STRICT;;
CREATE TABLE customer_courses (
	left_id INTEGER NOT NULL,
	right_id INTEGER NOT NULL,
	CONSTRAINT fk_customer_courses_left_id FOREIGN KEY(left_id) REFERENCES customer (id) ON DELETE CASCADE,
	CONSTRAINT fk_customer_courses_right_id FOREIGN KEY(right_id) REFERENCES course (id),
	CONSTRAINT pk_customer_courses PRIMARY KEY (left_id, right_id)
)
 STRICT;;
CREATE TABLE import_file (
	import_id INTEGER NOT NULL,
	content BLOB NOT NULL,
	CONSTRAINT fk_import_file_import_id FOREIGN KEY(import_id) REFERENCES import_run (id),
	CONSTRAINT pk_import_file PRIMARY KEY (import_id)
)
 STRICT;;
CREATE TABLE ownership (
	customer_id INTEGER NOT NULL,
	owner_id INTEGER,
	assignment_id INTEGER,
	last_consultant_id INTEGER,
	received_at INTEGER,
	last_contacted_at INTEGER,
	next_contact_at INTEGER,
	intention TEXT,
	status TEXT NOT NULL,
	locked INTEGER NOT NULL,
	lock_reason TEXT,
	payment_pending_on TEXT,
	dated_anew_at INTEGER,
	due_on TEXT NOT NULL,
	due_status INTEGER,
	due_days INTEGER,
	warn_on TEXT,
	CONSTRAINT ck_ownership_due CHECK (owner_id IS NULL OR due_on = '9999-12-31' OR (due_status IS NOT NULL AND due_days IS NOT NULL)),
	CONSTRAINT ck_ownership_due_status CHECK (due_status IN (3, 4)),
	CONSTRAINT ck_ownership_intention CHECK (intention IN ('no_plan', 'within_2_months', 'within_1_month', 'within_2_weeks', 'within_1_week', 'within_2_days', 'enrolled', 'paid_in_full')),
	CONSTRAINT ck_ownership_never CHECK ((status <> 'enrolled' AND NOT (CAST(locked AS INTEGER) = 1)) OR due_on = '9999-12-31'),
	CONSTRAINT ck_ownership_owner CHECK (owner_id IS NULL OR (assignment_id IS NOT NULL AND received_at IS NOT NULL AND last_contacted_at IS NOT NULL AND last_consultant_id = owner_id)),
	CONSTRAINT ck_ownership_pool CHECK (owner_id IS NOT NULL OR due_on IN ('0001-01-01', '9999-12-31')),
	CONSTRAINT ck_ownership_status CHECK (status IN ('enrolled', 'not_enrolled')),
	CONSTRAINT fk_ownership_assignment_id FOREIGN KEY(assignment_id) REFERENCES assignment (id) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT fk_ownership_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id),
	CONSTRAINT fk_ownership_held FOREIGN KEY(assignment_id, customer_id, owner_id) REFERENCES assignment (id, customer_id, held_by) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT fk_ownership_last_consultant_id FOREIGN KEY(last_consultant_id) REFERENCES employee (id),
	CONSTRAINT fk_ownership_owner_id FOREIGN KEY(owner_id) REFERENCES employee (id),
	CONSTRAINT pk_ownership PRIMARY KEY (customer_id),
	CONSTRAINT uq_ownership_customer_id_owner_id UNIQUE (customer_id, owner_id)
)
 STRICT;;
CREATE TABLE payment (
	id INTEGER NOT NULL,
	customer_id INTEGER NOT NULL,
	cohort_id INTEGER,
	kind TEXT NOT NULL,
	amount INTEGER NOT NULL,
	paid_on TEXT NOT NULL,
	method TEXT,
	receipt_number TEXT,
	turnover INTEGER,
	quote INTEGER,
	note TEXT,
	consultant_id INTEGER,
	status TEXT NOT NULL,
	confirmed_by_id INTEGER,
	confirmed_at INTEGER,
	reject_reason TEXT,
	created_at INTEGER,
	version INTEGER NOT NULL,
	CONSTRAINT ck_payment_amount CHECK (amount > 0),
	CONSTRAINT ck_payment_kind CHECK (kind IN ('deposit', 'tuition', 'transfer', 'withdrawal', 'refund')),
	CONSTRAINT ck_payment_method CHECK (method IN ('wechat', 'alipay', 'bank', 'cash', 'pos')),
	CONSTRAINT ck_payment_status CHECK (status IN ('pending', 'confirmed', 'rejected')),
	CONSTRAINT fk_payment_cohort_id FOREIGN KEY(cohort_id) REFERENCES cohort (id),
	CONSTRAINT fk_payment_confirmed_by_id FOREIGN KEY(confirmed_by_id) REFERENCES account (id),
	CONSTRAINT fk_payment_consultant_id FOREIGN KEY(consultant_id) REFERENCES employee (id),
	CONSTRAINT fk_payment_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id),
	CONSTRAINT pk_payment PRIMARY KEY (id),
	CONSTRAINT uq_payment_receipt_number UNIQUE (receipt_number)
)
 STRICT;;
CREATE TABLE student (
	id INTEGER NOT NULL,
	customer_id INTEGER NOT NULL,
	student_number TEXT,
	wechat_openid TEXT,
	guardian_name TEXT,
	guardian_phone TEXT,
	emergency_contact TEXT,
	company TEXT,
	location TEXT,
	position TEXT,
	salary TEXT,
	welfare TEXT,
	hired_on TEXT,
	memo TEXT,
	version INTEGER NOT NULL,
	CONSTRAINT fk_student_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id),
	CONSTRAINT pk_student PRIMARY KEY (id),
	CONSTRAINT uq_student_customer_id UNIQUE (customer_id),
	CONSTRAINT uq_student_student_number UNIQUE (student_number),
	CONSTRAINT uq_student_wechat_openid UNIQUE (wechat_openid)
)
 STRICT;;
CREATE TABLE study_record (
	id INTEGER NOT NULL,
	lesson_id INTEGER NOT NULL,
	student_id INTEGER NOT NULL,
	date TEXT NOT NULL,
	attendance TEXT NOT NULL,
	minutes_late INTEGER,
	score TEXT NOT NULL,
	homework_comment TEXT,
	note TEXT,
	homework_file TEXT,
	student_remark TEXT,
	handed_in_at INTEGER,
	version INTEGER NOT NULL,
	CONSTRAINT ck_study_record_attendance CHECK (attendance IN ('present', 'excused', 'late', 'absent', 'left_early')),
	CONSTRAINT ck_study_record_score CHECK (score IN ('A+', 'A', 'B+', 'B', 'B-', 'C+', 'C', 'C-', 'D', 'N/A', 'COPY', 'FAIL')),
	CONSTRAINT fk_study_record_lesson_id FOREIGN KEY(lesson_id) REFERENCES lesson (id),
	CONSTRAINT fk_study_record_student_id FOREIGN KEY(student_id) REFERENCES student (id),
	CONSTRAINT pk_study_record PRIMARY KEY (id),
	CONSTRAINT uq_study_record_lesson_id_student_id UNIQUE (lesson_id, student_id)
)
 STRICT;;
CREATE TABLE assignment (
	id INTEGER NOT NULL,
	customer_id INTEGER NOT NULL,
	consultant_id INTEGER NOT NULL,
	started_at INTEGER NOT NULL,
	ended_at INTEGER,
	status INTEGER NOT NULL,
	limit_days INTEGER,
	method TEXT NOT NULL,
	cycle INTEGER,
	position INTEGER,
	by_id INTEGER,
	explanation TEXT NOT NULL,
	memo TEXT,
	held_by INTEGER GENERATED ALWAYS AS (CASE WHEN status = 1 THEN consultant_id END) STORED,
	CONSTRAINT ck_assignment_ended CHECK ((status = 1) = (ended_at IS NULL)),
	CONSTRAINT ck_assignment_ended_at CHECK (ended_at >= started_at),
	CONSTRAINT ck_assignment_method CHECK (method IN ('rotation', 'claim', 'manual', 'import', 'transfer')),
	CONSTRAINT ck_assignment_status CHECK (status IN (1, 2, 3, 4, 5, 6, 7)),
	CONSTRAINT ck_assignment_turn CHECK ((cycle IS NULL) = (position IS NULL) AND (method <> 'rotation' OR cycle IS NOT NULL) AND (method IN ('rotation', 'import') OR cycle IS NULL)),
	CONSTRAINT fk_assignment_by_id FOREIGN KEY(by_id) REFERENCES account (id),
	CONSTRAINT fk_assignment_consultant_id FOREIGN KEY(consultant_id) REFERENCES employee (id),
	CONSTRAINT fk_assignment_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id),
	CONSTRAINT fk_assignment_owner FOREIGN KEY(customer_id, held_by) REFERENCES ownership (customer_id, owner_id) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT pk_assignment PRIMARY KEY (id),
	CONSTRAINT uq_assignment_id_customer_id_held_by UNIQUE (id, customer_id, held_by)
)
 STRICT;;
CREATE TABLE follow_up (
	id INTEGER NOT NULL,
	customer_id INTEGER NOT NULL,
	consultant_id INTEGER NOT NULL,
	assignment_id INTEGER,
	at INTEGER NOT NULL,
	channel TEXT NOT NULL,
	intention TEXT,
	note TEXT NOT NULL,
	next_contact_at INTEGER,
	CONSTRAINT ck_follow_up_channel CHECK (channel IN ('phone', 'wechat', 'qq', 'visit', 'trial', 'other')),
	CONSTRAINT ck_follow_up_intention CHECK (intention IN ('no_plan', 'within_2_months', 'within_1_month', 'within_2_weeks', 'within_1_week', 'within_2_days', 'enrolled', 'paid_in_full')),
	CONSTRAINT fk_follow_up_assignment_id FOREIGN KEY(assignment_id) REFERENCES assignment (id),
	CONSTRAINT fk_follow_up_consultant_id FOREIGN KEY(consultant_id) REFERENCES employee (id),
	CONSTRAINT fk_follow_up_customer_id FOREIGN KEY(customer_id) REFERENCES customer (id),
	CONSTRAINT pk_follow_up PRIMARY KEY (id)
)
 STRICT;;
CREATE INDEX ix_account_roles_right_id ON account_roles (right_id);;
CREATE INDEX ix_assignment_consultant_id ON assignment (consultant_id, started_at);;
CREATE INDEX ix_assignment_customer_id ON assignment (customer_id);;
CREATE INDEX ix_assignment_ended ON assignment (consultant_id, ended_at) WHERE ended_at IS NOT NULL;;
CREATE INDEX ix_audit_entry_at ON audit_entry (at, id);;
CREATE INDEX ix_audit_entry_by_id ON audit_entry (by_id, at, id);;
CREATE INDEX ix_audit_entry_record ON audit_entry (record, record_id);;
CREATE INDEX ix_cohort_teachers_right_id ON cohort_teachers (right_id);;
CREATE INDEX ix_customer_courses_right_id ON customer_courses (right_id);;
CREATE INDEX ix_customer_education ON customer (education, id);;
CREATE INDEX ix_customer_pinyin ON customer (pinyin, id);;
CREATE INDEX ix_customer_school_id ON customer (school_id, id);;
CREATE INDEX ix_customer_source ON customer (source, id);;
CREATE INDEX ix_follow_up_consultant_id ON follow_up (consultant_id, at);;
CREATE INDEX ix_follow_up_customer_id ON follow_up (customer_id);;
CREATE INDEX ix_import_problem_import_id ON import_problem (import_id, "row");;
CREATE INDEX ix_import_run_running ON import_run (started_at) WHERE status = 'running';;
CREATE INDEX ix_import_run_sha256 ON import_run (sha256);;
CREATE INDEX ix_notice_about ON notice (about);;
CREATE INDEX ix_notice_dead ON notice (id) WHERE status = 'dead';;
CREATE INDEX ix_notice_inbox ON notice (recipient_id, id) WHERE channel = 'inapp';;
CREATE INDEX ix_notice_unread ON notice (recipient_id, id) WHERE channel = 'inapp' AND read_at IS NULL;;
CREATE INDEX ix_notice_waiting ON notice (channel, next_attempt_at, id) WHERE status IN ('pending', 'failed');;
CREATE INDEX ix_ownership_due_on ON ownership (due_on, customer_id);;
CREATE INDEX ix_ownership_intention ON ownership (intention, customer_id) WHERE intention IS NOT NULL;;
CREATE INDEX ix_ownership_last_consultant_id ON ownership (last_consultant_id, customer_id);;
CREATE INDEX ix_ownership_locked ON ownership (customer_id) WHERE locked = 1;;
CREATE INDEX ix_ownership_owner_id ON ownership (owner_id, due_on);;
CREATE INDEX ix_ownership_warn_on ON ownership (warn_on);;
CREATE INDEX ix_payment_consultant_id ON payment (consultant_id, confirmed_at);;
CREATE INDEX ix_payment_customer_id ON payment (customer_id);;
CREATE INDEX ix_role_permissions_right_id ON role_permissions (right_id);;
CREATE INDEX ix_sent_form_at ON sent_form (at);;
CREATE INDEX ix_sign_in_attempt_last_at ON sign_in_attempt (last_at);;
CREATE INDEX ix_sign_in_seen_at ON sign_in (seen_at);;
CREATE INDEX ix_sign_in_user_id ON sign_in (user_id, seen_at);;
CREATE UNIQUE INDEX uq_assignment_held ON assignment (customer_id) WHERE status = 1;;
CREATE UNIQUE INDEX uq_assignment_turn ON assignment (cycle, position) WHERE cycle IS NOT NULL;;
CREATE UNIQUE INDEX uq_customer_import_id_import_row ON customer (import_id, import_row) WHERE import_id IS NOT NULL;;
CREATE UNIQUE INDEX uq_customer_phone ON customer (phone) WHERE phone IS NOT NULL AND archived_at IS NULL;;
CREATE UNIQUE INDEX uq_customer_qq ON customer (qq) WHERE qq IS NOT NULL AND archived_at IS NULL;;
CREATE UNIQUE INDEX uq_customer_wechat ON customer (wechat) WHERE wechat IS NOT NULL AND archived_at IS NULL;;
CREATE VIRTUAL TABLE customer_search USING fts5(search, content='customer', content_rowid='id', detail=none, tokenize="unicode61 remove_diacritics 0 tokenchars '#='");;
CREATE TRIGGER customer_search_insert AFTER INSERT ON customer BEGIN INSERT INTO customer_search(rowid, search) VALUES (NEW.id, NEW.search); END;;
CREATE TRIGGER customer_search_delete AFTER DELETE ON customer BEGIN INSERT INTO customer_search(customer_search, rowid, search) VALUES ('delete', OLD.id, OLD.search); END;;
CREATE TRIGGER customer_search_update AFTER UPDATE OF search ON customer WHEN OLD.search <> NEW.search BEGIN INSERT INTO customer_search(customer_search, rowid, search) VALUES ('delete', OLD.id, OLD.search); INSERT INTO customer_search(rowid, search) VALUES (NEW.id, NEW.search); END;;
CREATE TRIGGER assignment_no_update BEFORE UPDATE ON assignment WHEN OLD.ended_at IS NOT NULL OR NEW.customer_id IS DISTINCT FROM OLD.customer_id OR NEW.consultant_id IS DISTINCT FROM OLD.consultant_id OR NEW.started_at IS DISTINCT FROM OLD.started_at OR NEW.method IS DISTINCT FROM OLD.method OR NEW.cycle IS DISTINCT FROM OLD.cycle OR NEW.position IS DISTINCT FROM OLD.position OR NEW.by_id IS DISTINCT FROM OLD.by_id BEGIN SELECT RAISE(ABORT, 'history of assignment never changes'); END;;
CREATE TRIGGER assignment_no_delete BEFORE DELETE ON assignment BEGIN SELECT RAISE(ABORT, 'history of assignment never changes'); END;;
CREATE TRIGGER follow_up_no_update BEFORE UPDATE ON follow_up BEGIN SELECT RAISE(ABORT, 'history of follow_up never changes'); END;;
CREATE TRIGGER follow_up_no_delete BEFORE DELETE ON follow_up BEGIN SELECT RAISE(ABORT, 'history of follow_up never changes'); END;;
CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry BEGIN SELECT RAISE(ABORT, 'history of audit_entry never changes'); END;;
CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry BEGIN SELECT RAISE(ABORT, 'history of audit_entry never changes'); END;;
INSERT INTO rotation_plan (version, entries, strategy, created_at) VALUES (0, '[]', 'rounds', 0);;
INSERT INTO turn_cursor (id, cycle, position, plan_version, next_version, people, rules) VALUES (1, 0, 0, 0, 0, 0, 0);;
